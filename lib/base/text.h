/* Text that came from somebody else, and near misses.
 *
 * text_escape() is the one place that makes a peer's bytes printable: what is not printable ASCII
 * or valid UTF-8 (without control characters, and without those that are not seen or change the
 * direction of writing) becomes \n, \t, \r, \\ or \xNN. text_unescape() reads the C escapes \a \b \e \f \n \r \t \v \\ \" \' \? \0 \NNN (octal) and \xNN (exactly two digits).
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"
#include "netkit/error.h"

void text_escape(struct buf *out, const void *bytes, size_t len_bytes);

/* The same of a message that may have been escaped in part: a backslash stays what it is, and so
 * does a newline that an indented line follows. */
void text_escape_message(struct buf *out, const char *message);

/* Appends the bytes that `text` stands for. -EINVAL with the position and the bad escape. */
int text_unescape(struct buf *out, const char *text, struct error *error);

/* The candidate nearest to a misspelt word by edit distance (transpositions count one), or NULL
 * when none is near: within a third of the word's length, at least 1, at most 3. `candidates` ends
 * with NULL. */
const char *text_nearest(const char *word, const char *const *candidates);

/* Whether the locale that setlocale() made current prints UTF-8. */
bool text_locale_is_utf8(void);

/* Terminal columns of valid UTF-8 text, without escape sequences; other bytes count one. */
int text_width(const char *text);

#endif
