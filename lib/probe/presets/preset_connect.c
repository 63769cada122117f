#include "probe/preset.h"

const struct preset preset_connect = {
    .name = "connect", .help = "connect, and send nothing", .framing = "nothing"};
