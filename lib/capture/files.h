/* Several capture files as one, in order of time. Internal to this room. */
#ifndef CAPTURE_FILES_H
#define CAPTURE_FILES_H

#include "capture/internal.h"

/* Looks into each of the files; `paths` are copied. */
int files_open(struct files **out, const char *const *paths, size_t count, struct error *error);
/* The link type of the first packets. */
enum packet_link files_link(const struct files *files);
/* As capture_next() without filters; packet->number is that of its file. A file that is damaged
 * ends there, and the first such error is returned when all others have ended. */
int files_next(struct files *files, struct capture_packet *out, struct error *error);
void files_get_progress(const struct files *files, struct capture_progress *out);
void files_close(struct files *files); /* NULL is allowed */

#endif
