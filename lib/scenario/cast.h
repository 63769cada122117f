/* An actor from inside: what the functions see that ACT_CALL runs, and how an actor's process
 * begins. */
#ifndef SCENARIO_CAST_H
#define SCENARIO_CAST_H

#include "scenario/actor.h"
#include "scenario/recorder.h"
#include "scenario/stage.h"

#define CAST_OPTIONS_MAX 16

/* What an actor has to know; copied into its process. */
struct cast_start {
    int family;
    bool lab;
    uint16_t ports; /* without a lab: where STAGE_PORT and the ports after it really are */
    struct {
        char text[ACT_WORDS_MAX]; /* "SO_LINGER=on,1s", set on each socket that it opens */
    } options[CAST_OPTIONS_MAX];
    size_t option_count;
};

struct actor_self {
    struct cast_start start;
    enum lab_host host;
    struct recorder recorder;
    struct sock slots[ACTOR_SLOTS];
};

/* Without a lab the ports of this machine may be taken: STAGE_PORT and the next ones stand for a
 * free range. */
#define CAST_PORTS 16
uint16_t cast_port(const struct actor_self *self, uint16_t port);
/* The first of so many ports that are free on loopback now; 0: none was found. */
uint16_t cast_free_ports(int family);
/* The address that an act names, with its port. */
int cast_address(const struct actor_self *self, enum act_to to, uint16_t port,
                 struct sock_address *out);
/* The socket of a slot, opened if it is not; NULL with -errno in *rc. */
struct sock *cast_socket(struct actor_self *self, int slot, int flags, int64_t *rc);
/* Sets the user's socket options on a socket that a function of a scenario has opened itself. */
int64_t cast_prepare(struct actor_self *self, int fd);
/* What is asked of the host itself (cast_host.c). */
int64_t cast_settings(struct actor_self *self, const struct act *act, struct act_reply *reply);
int64_t cast_setting(struct actor_self *self, const struct act *act, struct act_reply *reply);
int64_t cast_counter(struct actor_self *self, const struct act *act, struct act_reply *reply);
int64_t cast_diag(struct actor_self *self, const struct act *act, struct act_reply *reply);

/* Does an act as the loop would. */
int64_t cast_do(struct actor_self *self, const struct act *act, struct act_reply *reply);

/* The process of an actor, from its first act to the end of the channel. */
int cast_main(const struct lab_role *role);

#endif
