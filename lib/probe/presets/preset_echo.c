/* RFC 862. */
#include "probe/preset.h"

#define LINE "netkit echo probe: sixty-four bytes out, sixty-four bytes back."

const struct preset preset_echo = {.name = "echo",
                                   PRESET_PORTS("a line that comes back", (7)),
                                   .request = LINE "\n",
                                   .framing = "text:" LINE "\\n"};
