/* Keys and values, lists and tables: what several parts of the text report have. */
#include "report/report_text.h"

#include "base/text.h"
#include "base/units.h"
#include "report/fields.h"
#include <inttypes.h>
#include <string.h>

/* ---- Keys and values */

static bool ends_with(const char *key, const char *ending)
{
    size_t key_len = strlen(key), len = strlen(ending);
    return key_len > len && !strcmp(key + key_len - len, ending);
}

/* "arm_p50_ns" is "arm p50". */
void put_key(struct buf *out, const char *key)
{
    cleanup(buf) struct buf words = {0};

    buf_add_str(&words, key);
    if (ends_with(key, "_ns"))
        words.data[words.len_bytes -= strlen("_ns")] = '\0';
    for (char *p = words.data; p && *p; p++)
        *p = *p == '_' ? ' ' : *p;
    buf_add_str(out, buf_str(&words));
}

static void put_integer(struct buf *out, const char *key, int64_t value)
{
    char text[UNITS_TEXT_MAX];

    if (value == RESULT_UNKNOWN)
        buf_add_char(out, '?');
    else if (ends_with(key, "_ns"))
        buf_add_str(out, report_duration(text, sizeof text, value, true));
    else if (ends_with(key, "_bytes"))
        buf_add_str(out, units_format_size(text, sizeof text, value));
    else
        buf_printf(out, "%" PRId64, value);
}

void put_value(struct buf *out, const struct result_value *value)
{
    switch (value->kind) {
    case RESULT_NULL:
        buf_add_char(out, '?');
        return;
    case RESULT_BOOL:
        buf_add_str(out, value->flag ? "yes" : "no");
        return;
    case RESULT_INTEGER:
        put_integer(out, value->key, value->integer);
        return;
    case RESULT_REAL:
        buf_printf(out, "%.4g", value->real);
        return;
    case RESULT_TEXT:
        buf_add_str(out, value->text ? value->text : "?");
        return;
    case RESULT_RANGE:
        put_integer(out, value->key, value->range.min);
        buf_add_str(out, " to ");
        put_integer(out, value->key, value->range.max);
        return;
    case RESULT_TEXTS:
        for (size_t i = 0; i < value->texts.count; i++)
            buf_printf(out, "%s%s", i ? ", " : "", value->texts.items[i]);
        return;
    }
}

void show_map(struct paint *paint, int indent, const struct result_map *map)
{
    int widest = 0;

    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < map->count; i++) {
            cleanup(buf) struct buf key = {0}, value = {0};
            put_key(&key, map->values[i].key);
            int width = text_width(buf_str(&key));
            widest = width > widest && width < paint->width / 2 ? width : widest;
            if (!pass)
                continue;
            put_value(&value, &map->values[i]);
            paint->out->failed |= key.failed || value.failed;
            paint_to(paint, indent);
            paint_put(paint, PAINT_DIM, buf_str(&key));
            paint_to(paint, indent + widest + 2);
            paint_wrap(paint, PAINT_PLAIN, indent + widest + 2, buf_str(&value));
        }
}

/* ---- Lists */

/* One piece of a list, on the next line where it does not fit. */
static void put_piece(struct paint *paint, int column, const char *text)
{
    if (paint->column > column && paint->column + 1 + text_width(text) > paint->width) {
        paint_newline(paint);
        paint_to(paint, column);
    }
    if (paint->column > column)
        paint_put(paint, PAINT_PLAIN, " ");
    paint_put(paint, PAINT_PLAIN, text);
}

static size_t run_length(const struct result_texts *texts, size_t from)
{
    size_t run = 1;

    while (from + run < texts->count && !strcmp(texts->items[from], texts->items[from + run]))
        run++;
    return run;
}

void show_texts(struct paint *paint, const struct shown_texts *how,
                const struct result_texts *texts)
{
    cleanup(buf) struct buf piece = {0};
    size_t i = 0;

    if (!texts->count)
        return;
    paint_label(paint, how->column, how->label);
    for (size_t pieces = 0; i < texts->count && pieces < how->most; pieces++) {
        size_t run = run_length(texts, i);
        buf_reset(&piece);
        buf_add_str(&piece, texts->items[i]);
        if (run > 1)
            buf_printf(&piece, " %s%zu", paint->style->unicode ? "×" : "*", run);
        i += run;
        buf_add_str(&piece, i < texts->count ? how->behind : "");
        put_piece(paint, how->column, buf_str(&piece));
    }
    int64_t omitted = how->omitted + (int64_t)(texts->count - i);
    if (omitted) {
        buf_reset(&piece);
        buf_printf(&piece, "and %" PRId64 " more", omitted);
        put_piece(paint, how->column, buf_str(&piece));
    }
    paint_newline(paint);
    paint->out->failed |= piece.failed;
}

void show_exchange(struct paint *paint, int column, const struct result_texts *flags, size_t most,
                   int64_t omitted, const struct result_texts *client_states,
                   const struct result_texts *server_states)
{
    most = paint->style->verbose ? SIZE_MAX : most;
    show_texts(paint, &(struct shown_texts){"exchange", ";", column, most, omitted}, flags);
    show_texts(paint, &(struct shown_texts){"client", "", column, SIZE_MAX, 0}, client_states);
    show_texts(paint, &(struct shown_texts){"server", "", column, SIZE_MAX, 0}, server_states);
}

/* ---- Tables */

#define COLUMNS_MAX 16
#define GAP         2
#define COLUMN_MIN  8

struct columns {
    const char *key[COLUMNS_MAX];
    int width[COLUMNS_MAX];
    int word[COLUMNS_MAX]; /* the longest: a narrower column breaks it */
    size_t count;
};

static bool is_number(const struct result_value *value)
{
    return value->kind == RESULT_INTEGER || value->kind == RESULT_REAL ||
           value->kind == RESULT_RANGE;
}

/* Whether a line may end here: behind a blank, or behind the hyphen of a compound ("half-close").
 */
static bool may_break(const char *text, size_t at)
{
    return text[at] == ' ' ||
           (at > 1 && text[at - 1] == '-' && text[at - 2] >= 'a' && text[at - 2] <= 'z');
}

static int longest_word(const char *text)
{
    int longest = 0, length = 0;

    for (size_t i = 0; text[i]; i++) {
        if (may_break(text, i))
            length = 0;
        length += text[i] != ' ' && (text[i] & 0xC0) != 0x80;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void widen(struct columns *columns, const char *key, const char *text)
{
    size_t i = 0;
    int width = text_width(text), word = longest_word(text);

    while (i < columns->count && strcmp(columns->key[i], key))
        i++;
    if (i == COLUMNS_MAX)
        return;
    if (i == columns->count) {
        columns->key[columns->count++] = key;
        columns->width[i] = columns->word[i] = 0;
    }
    columns->word[i] = word > columns->word[i] ? word : columns->word[i];
    columns->width[i] = width > columns->width[i] ? width : columns->width[i];
}

static void measure(struct columns *columns, const struct result_map *rows, size_t count)
{
    cleanup(buf) struct buf text = {0};

    for (size_t row = 0; row < count; row++)
        for (size_t i = 0; i < rows[row].count; i++) {
            const struct result_value *value = &rows[row].values[i];
            buf_reset(&text);
            put_key(&text, value->key);
            widen(columns, value->key, buf_str(&text));
            buf_reset(&text);
            put_value(&text, value);
            widen(columns, value->key, buf_str(&text));
        }
}

static int total_width(const struct columns *columns)
{
    int total = 0;

    for (size_t i = 0; i < columns->count; i++)
        total += columns->width[i] + (i ? GAP : 0);
    return total;
}

/* The column with most to give, down to its longest word or, when `break_words`, to COLUMN_MIN. */
static size_t widest_of(const struct columns *columns, bool break_words)
{
    size_t widest = columns->count;

    for (size_t i = 0; i < columns->count; i++) {
        int least = break_words || columns->word[i] < COLUMN_MIN ? COLUMN_MIN : columns->word[i];
        if (columns->width[i] > least &&
            (widest == columns->count || columns->width[i] > columns->width[widest]))
            widest = i;
    }
    return widest;
}

/* Takes from the widest column until all fit, or all are as narrow as is bearable. */
static void squeeze(struct columns *columns, int room)
{
    for (int break_words = 0; break_words < 2; break_words++)
        while (total_width(columns) > room) {
            size_t widest = widest_of(columns, break_words);
            if (widest == columns->count)
                break;
            columns->width[widest]--;
        }
}

/* Takes what fits into `width` columns from *text, at a blank where there is one. */
static size_t take_line(const char *text, int width)
{
    size_t all = strlen(text), most = paint_bytes(text, width);

    if (most >= all)
        return all;
    for (size_t i = most; i > 0; i--)
        if (may_break(text, i))
            return i;
    return most ? most : all;
}

static void put_cells(struct paint *paint, int indent, const struct columns *columns,
                      struct buf *cells, const bool *right, enum paint_color color)
{
    const char *rest[COLUMNS_MAX];
    bool more = true;

    for (size_t i = 0; i < columns->count; i++)
        rest[i] = buf_str(&cells[i]);
    while (more) {
        int column = indent;
        more = false;
        for (size_t i = 0; i < columns->count; i++) {
            size_t taken = take_line(rest[i], columns->width[i]);
            cleanup(buf) struct buf piece = {0};
            buf_add(&piece, rest[i], taken);
            if (right[i])
                paint_right(paint, color, buf_str(&piece), column + columns->width[i]);
            else if (taken) {
                paint_to(paint, column);
                paint_put(paint, color, buf_str(&piece));
            }
            rest[i] += taken;
            rest[i] += *rest[i] == ' ';
            more |= *rest[i] != '\0';
            column += columns->width[i] + GAP;
            paint->out->failed |= piece.failed;
        }
        paint_newline(paint);
    }
}

static void table_head(struct paint *paint, int indent, const struct columns *columns,
                       const bool *right)
{
    struct buf cells[COLUMNS_MAX] = {{0}};

    for (size_t i = 0; i < columns->count; i++)
        put_key(&cells[i], columns->key[i]);
    put_cells(paint, indent, columns, cells, right, PAINT_DIM);
    for (size_t i = 0; i < columns->count; i++) {
        paint->out->failed |= cells[i].failed;
        buf_free(&cells[i]);
    }
}

static void table_row(struct paint *paint, int indent, const struct columns *columns,
                      const bool *right, const struct result_map *row)
{
    struct buf cells[COLUMNS_MAX] = {{0}};

    for (size_t i = 0; i < columns->count; i++) {
        cleanup(buf) struct buf raw = {0};
        const struct result_value *value = result_get(row, columns->key[i]);
        if (!value)
            continue;
        put_value(&raw, value);
        paint_printable(&cells[i], buf_str(&raw), paint->style->unicode);
        paint->out->failed |= raw.failed;
    }
    put_cells(paint, indent, columns, cells, right, PAINT_PLAIN);
    for (size_t i = 0; i < columns->count; i++) {
        paint->out->failed |= cells[i].failed;
        buf_free(&cells[i]);
    }
}

/* The width that no word needs to be broken for. */
static int least_width(const struct columns *columns)
{
    int total = 0;

    for (size_t i = 0; i < columns->count; i++)
        total += (i ? GAP : 0) +
                 (columns->word[i] < columns->width[i] ? columns->word[i] : columns->width[i]);
    return total;
}

/* Takes the first column out: where all would break words, it stands on lines of its own. */
static const char *take_first(struct columns *columns)
{
    const char *first = columns->key[0];

    columns->count--;
    memmove(columns->key, columns->key + 1, columns->count * sizeof columns->key[0]);
    memmove(columns->width, columns->width + 1, columns->count * sizeof columns->width[0]);
    memmove(columns->word, columns->word + 1, columns->count * sizeof columns->word[0]);
    return first;
}

static void name_row(struct paint *paint, int indent, const struct result_value *name)
{
    cleanup(buf) struct buf text = {0};

    if (name)
        put_value(&text, name);
    paint_to(paint, indent);
    paint_wrap(paint, PAINT_BOLD, indent, buf_str(&text));
    paint->out->failed |= text.failed;
}

static void align(const struct columns *columns, const struct result_map *rows, size_t count,
                  bool *right)
{
    for (size_t i = 0; i < columns->count; i++) {
        right[i] = true;
        for (size_t row = 0; row < count; row++) {
            const struct result_value *value = result_get(&rows[row], columns->key[i]);
            right[i] = right[i] && (!value || value->kind == RESULT_NULL || is_number(value));
        }
    }
}

void show_table(struct paint *paint, int indent, const struct result_map *rows, size_t count)
{
    struct columns columns = {0};
    bool right[COLUMNS_MAX] = {false};
    const char *name = NULL;

    measure(&columns, rows, count);
    if (columns.count > 2 && least_width(&columns) > paint->limit - indent) {
        name = take_first(&columns);
        indent += GAP;
    }
    squeeze(&columns, paint->limit - indent);
    align(&columns, rows, count, right);
    table_head(paint, indent, &columns, right);
    for (size_t row = 0; row < count; row++) {
        if (name)
            name_row(paint, indent - GAP, result_get(&rows[row], name));
        table_row(paint, indent, &columns, right, &rows[row]);
    }
}
