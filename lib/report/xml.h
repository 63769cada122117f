/* Text for XML 1.0: attributes and content alike. */
#ifndef REPORT_XML_H
#define REPORT_XML_H

#include "base/buf.h"

/* Appends any bytes so that a parser accepts them: what is not printable is escaped first (XML 1.0
 * cannot carry most control characters, nor U+FFFE and U+FFFF), then & < > " '. */
void xml_escape(struct buf *out, const char *text);

#endif
