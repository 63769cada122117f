#include "report/xml.h"

#include "report/paint.h"

void xml_escape(struct buf *out, const char *text)
{
    static const struct {
        char c;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    cleanup(buf) struct buf printable = {0};

    paint_printable(&printable, text, true);
    out->failed |= printable.failed;
    for (const char *p = buf_str(&printable); *p; p++) {
        size_t i = 0;
        while (i < ARRAY_SIZE(entities) && entities[i].c != *p)
            i++;
        if (i < ARRAY_SIZE(entities))
            buf_add_str(out, entities[i].entity);
        else
            buf_add_char(out, *p);
    }
}
