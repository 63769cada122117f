/* An error with its story.
 *
 * Every function of netkit's libraries that can fail returns 0 (or a count) or a negative errno
 * value, and tells the story in a `struct error` that the caller provides. The function that
 * notices the failure calls error_set(); each caller that knows more puts its context in front
 * with error_add(), so that the text reads from the outside in:
 *
 *     cannot open the wire: veth pair: Operation not permitted
 *
 * A NULL `struct error *` is allowed everywhere and means that only the number is wanted.
 * The structure owns nothing: it may be copied, left on the stack and forgotten.
 */
#ifndef NETKIT_ERROR_H
#define NETKIT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define ERROR_TEXT_MAX 512

struct error {
    int code; /* a positive errno value; 0 when nothing has failed */
    char text[ERROR_TEXT_MAX];
};

/* Starts the story. `code` is a positive errno value. Returns -code. Text that does not fit is cut,
 * never overrun. */
__attribute__((format(printf, 3, 4))) int error_set(struct error *error, int code,
                                                    const char *format, ...);

/* The same, with ": " and the system's text for `code` at the end. */
__attribute__((format(printf, 3, 4))) int error_sys(struct error *error, int code,
                                                    const char *format, ...);

/* Puts context and ": " in front of the story. Returns -error->code (-EIO when error is NULL or
 * nothing had been set), so that `return error_add(e, "…");` passes a failure on; where the exact
 * number matters and error may be NULL, keep the callee's return value instead. */
__attribute__((format(printf, 2, 3))) int error_add(struct error *error, const char *format, ...);

/* The symbolic name of an errno value ("ECONNREFUSED"), or "E?" for a number that Linux does
 * not have. The string is static. */
const char *error_name(int code);

#ifdef __cplusplus
}
#endif

#endif
