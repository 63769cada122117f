/* SSH (RFC 4253 section 4.2): as far as the line that tells the version. */
#include "probe/framing_rules.h"
#include "probe/preset.h"

#include <ctype.h>
#include <string.h>

/* How the servers of other protocols greet. */
static bool is_another_greeting(const char *line)
{
    static const char *const words[] = {"HTTP/", "+OK", "-ERR", "* ", "RFB ", "@RSYNCD"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strncmp(line, words[i], strlen(words[i])))
            return true;
    for (int i = 0; i < 3; i++)
        if (!isdigit((unsigned char)line[i]))
            return false;
    return line[3] == ' ' || line[3] == '-';
}

/* A server may say other lines first. They are text. */
static int match(struct framing_reader *reader, char c, struct error *error)
{
    if (iscntrl((unsigned char)c) && c != '\t' && c != '\r' && c != '\n')
        return framing_refuse("a line of SSH", error);
    if (!framing_line_byte(reader, c))
        return 0;
    if (framing_line_starts(reader, "SSH-"))
        return 1;
    return is_another_greeting(reader->line) ? framing_refuse("a line of SSH", error) : 0;
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    framing_show_last_line(reader, head, head_bytes, out);
    out->known = out->success = true;
}

const struct framing_rules framing_ssh = {
    .awaits = "an SSH server's line SSH-...", .match = match, .judge = judge};

const struct preset preset_ssh = {.name = "ssh",
                                  PRESET_PORTS("the server's first line, on new connections", (22)),
                                  .framing = "ssh",
                                  .greets = true};
