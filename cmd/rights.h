/* What a command gives up before it reads what strangers send: root, capabilities, and all system
 * calls that it has no use for. */
#ifndef CMD_RIGHTS_H
#define CMD_RIGHTS_H

#include "common.h"

#include <stdbool.h>

struct rights_needs {
    const char *record;  /* a file that will be written, besides those of the common options */
    bool capture;        /* until live_capture_open() was called, or live_capture_renounce() */
    bool socket_options; /* that only root may set */
    bool root_by_name;   /* a peer, or the file system, asks whether this is root */
};

/* Call it when all inputs have been read, and no other thread is there. Reserves the outputs
 * (report_session_reserve()) in between: they belong to the user who is left. Returns STATUS_OK, or
 * the status to end with, after a complaint. */
int rights_give_up(const char *command, const struct common_options *common,
                   const struct rights_needs *needs);

#endif
