/* Names that not every C library can tell: strerrorname_np() and sigabbrev_np() are glibc's. */
#include "base/names.h"

#include "base/cleanup.h"
#include "netkit/error.h"
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#define NAME(name) [name] = #name

/* By number, which differs between processors. Of two names for one number the kernel's own. */
static const char *const error_names[] = {
    NAME(EPERM),        NAME(ENOENT),          NAME(ESRCH),           NAME(EINTR),
    NAME(EIO),          NAME(ENXIO),           NAME(E2BIG),           NAME(ENOEXEC),
    NAME(EBADF),        NAME(ECHILD),          NAME(EAGAIN),          NAME(ENOMEM),
    NAME(EACCES),       NAME(EFAULT),          NAME(ENOTBLK),         NAME(EBUSY),
    NAME(EEXIST),       NAME(EXDEV),           NAME(ENODEV),          NAME(ENOTDIR),
    NAME(EISDIR),       NAME(EINVAL),          NAME(ENFILE),          NAME(EMFILE),
    NAME(ENOTTY),       NAME(ETXTBSY),         NAME(EFBIG),           NAME(ENOSPC),
    NAME(ESPIPE),       NAME(EROFS),           NAME(EMLINK),          NAME(EPIPE),
    NAME(EDOM),         NAME(ERANGE),          NAME(ENAMETOOLONG),    NAME(ENOLCK),
    NAME(ENOSYS),       NAME(ENOTEMPTY),       NAME(ELOOP),           NAME(ENOMSG),
    NAME(EIDRM),        NAME(ECHRNG),          NAME(EL2NSYNC),        NAME(EL3HLT),
    NAME(EL3RST),       NAME(ELNRNG),          NAME(EUNATCH),         NAME(ENOCSI),
    NAME(EL2HLT),       NAME(EBADE),           NAME(EBADR),           NAME(EXFULL),
    NAME(ENOANO),       NAME(EBADRQC),         NAME(EBADSLT),         NAME(EBFONT),
    NAME(ENOSTR),       NAME(ENODATA),         NAME(ETIME),           NAME(ENOSR),
    NAME(ENONET),       NAME(ENOPKG),          NAME(EREMOTE),         NAME(ENOLINK),
    NAME(EADV),         NAME(ESRMNT),          NAME(ECOMM),           NAME(EPROTO),
    NAME(EMULTIHOP),    NAME(EDOTDOT),         NAME(EBADMSG),         NAME(EOVERFLOW),
    NAME(ENOTUNIQ),     NAME(EBADFD),          NAME(EREMCHG),         NAME(ELIBACC),
    NAME(ELIBBAD),      NAME(ELIBSCN),         NAME(ELIBMAX),         NAME(ELIBEXEC),
    NAME(EILSEQ),       NAME(ERESTART),        NAME(ESTRPIPE),        NAME(EUSERS),
    NAME(ENOTSOCK),     NAME(EDESTADDRREQ),    NAME(EMSGSIZE),        NAME(EPROTOTYPE),
    NAME(ENOPROTOOPT),  NAME(EPROTONOSUPPORT), NAME(ESOCKTNOSUPPORT), NAME(EPFNOSUPPORT),
    NAME(EAFNOSUPPORT), NAME(EADDRINUSE),      NAME(EADDRNOTAVAIL),   NAME(ENETDOWN),
    NAME(ENETUNREACH),  NAME(ENETRESET),       NAME(ECONNABORTED),    NAME(ECONNRESET),
    NAME(ENOBUFS),      NAME(EISCONN),         NAME(ENOTCONN),        NAME(ESHUTDOWN),
    NAME(ETOOMANYREFS), NAME(ETIMEDOUT),       NAME(ECONNREFUSED),    NAME(EHOSTDOWN),
    NAME(EHOSTUNREACH), NAME(EALREADY),        NAME(EINPROGRESS),     NAME(ESTALE),
    NAME(EUCLEAN),      NAME(ENOTNAM),         NAME(ENAVAIL),         NAME(EISNAM),
    NAME(EREMOTEIO),    NAME(EDQUOT),          NAME(ENOMEDIUM),       NAME(EMEDIUMTYPE),
    NAME(ECANCELED),    NAME(ENOKEY),          NAME(EKEYEXPIRED),     NAME(EKEYREVOKED),
    NAME(EKEYREJECTED), NAME(EOWNERDEAD),      NAME(ENOTRECOVERABLE), NAME(ERFKILL),
    NAME(EHWPOISON),    NAME(EOPNOTSUPP),      NAME(EDEADLK),
};

static const char *const signal_names[] = {
    NAME(SIGHUP),    NAME(SIGINT),  NAME(SIGQUIT),  NAME(SIGILL),  NAME(SIGTRAP), NAME(SIGABRT),
    NAME(SIGBUS),    NAME(SIGFPE),  NAME(SIGKILL),  NAME(SIGUSR1), NAME(SIGSEGV), NAME(SIGUSR2),
    NAME(SIGPIPE),   NAME(SIGALRM), NAME(SIGTERM),  NAME(SIGCHLD), NAME(SIGCONT), NAME(SIGSTOP),
    NAME(SIGTSTP),   NAME(SIGTTIN), NAME(SIGTTOU),  NAME(SIGURG),  NAME(SIGXCPU), NAME(SIGXFSZ),
    NAME(SIGVTALRM), NAME(SIGPROF), NAME(SIGWINCH), NAME(SIGPOLL), NAME(SIGPWR),  NAME(SIGSYS),
};

#define NAME_OF(names, number)                                                                     \
    ((number) > 0 && (size_t)(number) < ARRAY_SIZE(names) ? (names)[number] : NULL)

const char *error_name(int code)
{
    const char *name = NAME_OF(error_names, code);
    return name ? name : "E?";
}

const char *signal_name(int number)
{
    const char *name = NAME_OF(signal_names, number);
    return name ? name : "a real-time signal";
}
