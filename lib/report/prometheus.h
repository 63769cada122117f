/* Prometheus's text exposition format (version 0.0.4), as the text-file collector, the Pushgateway
 * and a scrape read it.
 *
 * A family of metrics is one block, with HELP and TYPE. Base units are seconds. What is not known
 * has no sample. Targets are the label `target`; a target that was given twice appears once,
 * because two samples of the same labels make the whole unreadable. */
#ifndef REPORT_PROMETHEUS_H
#define REPORT_PROMETHEUS_H

#include "report/report.h"

int report_render_prometheus(struct buf *out, const struct report *report,
                             const struct report_style *style, struct error *error);

#endif
