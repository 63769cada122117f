#ifndef BASE_NAMES_H
#define BASE_NAMES_H

/* "SIGKILL"; "a real-time signal" for those without a name of their own. The string is static. */
const char *signal_name(int number);

#endif
