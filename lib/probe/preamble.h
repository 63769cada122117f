/* What is said once on a connection, before its rounds: the server's greeting, a login, STARTTLS,
 * and the user's own --greeting and --hello.
 *
 * A preamble is a series of turns: something is said, perhaps nothing, and an answer is awaited.
 * A preset's own (struct preamble_rules) decides each turn by the answer to the one before; the
 * user's follow. A server has as long for all of it as for an answer. */
#ifndef PROBE_PREAMBLE_H
#define PROBE_PREAMBLE_H

#include "base/buf.h"
#include "probe/conn.h"
#include "probe/framing.h"

/* What the user asks of a preset. Memory is the caller's and must outlive the run. */
struct preset_ask {
    const char *path, *host;
    const char *method;         /* of HTTP; NULL: GET, or POST with data */
    const char *const *headers; /* HTTP's lines of the user's own, "Name: value" */
    size_t header_count;
    const char *data; /* HTTP's body; NULL: none */
    size_t data_bytes;
    bool expect_continue;        /* of HTTP */
    const char *query;           /* NULL: the preset's own */
    const char *user, *password; /* or NULL */
    const char *database;        /* or NULL */
};

#define PREAMBLE_HEARD_MAX  16384
#define PREAMBLE_TURNS_MAX  64 /* of a preset's */
#define PREAMBLE_HELLOS_MAX 64

/* The preset's side of a preamble, from turn to turn. */
struct preamble_talk {
    const struct preset_ask *ask;
    bool starttls; /* TLS is to begin in it */
    bool secure;   /* TLS has begun */
    int step;      /* counts the turns that are over; the preset may set it */
    void *state;   /* the preset's own, zeroed */
    /* The answer to the turn before, as far as PREAMBLE_HEARD_MAX; NULL: there was none. */
    const char *heard;
    size_t heard_bytes;
    struct framing_answer answer; /* what it says of itself */
    struct buf *say;              /* for what is said in this turn */
    const char *await;            /* and what is awaited then, as --until writes it */
};

enum preamble_next {
    PREAMBLE_OVER,
    PREAMBLE_AWAIT, /* `say` and `await` are this turn's */
    PREAMBLE_TLS,   /* the handshake; the turn after it has heard nothing */
};

struct preamble_rules {
    size_t state_bytes;
    bool server_first; /* it begins with a greeting */
    /* One of enum preamble_next; -EACCES: the server refuses, -EPROTO: it speaks another protocol,
     * -EINVAL: it wants what the user did not give. */
    int (*next)(struct preamble_talk *talk, struct error *error);
};

/* ---- preamble_rules.c, for rules */

/* Awaits what --until writes so: PREAMBLE_AWAIT. */
int preamble_await(struct preamble_talk *talk, const char *until);
/* Of protocols in which the server greets, one command begins TLS, and USER and PASS log in: a turn
 * by talk->step, which is one of these. `await` is an answer's framing. */
enum preamble_login_step {
    PREAMBLE_GREETING_STEP,
    PREAMBLE_STARTTLS_STEP,
    PREAMBLE_HANDSHAKE_STEP,
    PREAMBLE_USER_STEP,
    PREAMBLE_PASS_STEP,
    PREAMBLE_DONE_STEP,
};
int preamble_log_in(struct preamble_talk *talk, const char *await, const char *starttls,
                    struct error *error);
/* Whether the answer says that it is no success: `error` then says so. */
bool preamble_refused(const struct preamble_talk *talk, struct error *error);
/* Logging in with lines of text: the name fits in one, and name and password are both there, or
 * neither; where `lone_user`, the name alone will do. -EINVAL otherwise. */
int preamble_check_login(const struct preset_ask *ask, bool lone_user, struct error *error);

/* ---- preamble.c */

/* --hello and its --hello-until. */
struct preamble_hello {
    const char *bytes;
    size_t len_bytes;
    struct framing until;
};

struct preamble_settings {
    const struct preamble_rules *rules; /* NULL: the preset has none */
    const struct preset_ask *ask;
    bool starttls;
    struct framing greeting; /* what is awaited after that; or nothing */
    const struct preamble_hello *hellos;
    size_t hello_count;
    int64_t timeout_ns; /* for all of it */
};
/* Whether there is any. */
bool preamble_wanted(const struct preamble_settings *settings);
/* Whether the server speaks first on a connection (after TLS, unless that begins in it). */
bool preamble_server_first(const struct preamble_settings *settings);

struct preamble_user {
    /* The rounds can begin; `input` is what has come that belongs to none of it. */
    void (*over)(void *owner, const struct conn_input *input);
    void (*failed)(void *owner, const struct result_error *error);
};

/* All zero before the first preamble_begin(). */
struct preamble {
    const struct preamble_settings *settings;
    struct conn *conn;
    const struct preamble_user *user;
    void *owner;
    enum { PREAMBLE_RULES, PREAMBLE_GREETING, PREAMBLE_HELLOS } stage;
    size_t hello; /* how many are over */
    size_t turns;
    struct preamble_talk talk;
    struct buf say, heard;
    size_t said_bytes;
    bool spoke;           /* something was said on this connection */
    struct framing until; /* what is awaited */
    struct framing_reader reader;
    bool silence; /* the timer is for that, not for the deadline */
    int64_t began_ns, deadline_ns;
    int64_t took_ns; /* when it is over: without the TLS handshake in it */
};

/* The connection stands, and the server has said this much. Without anything to say it is over at
 * once. */
void preamble_begin(struct preamble *preamble, const struct preamble_settings *settings,
                    struct conn *conn, const struct conn_input *input,
                    const struct preamble_user *user, void *owner);
void preamble_free(struct preamble *preamble);

#endif
