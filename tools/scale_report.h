/* SPDX-License-Identifier: Apache-2.0
 *
 * Scales as pictures: the file of --plot, and the calibration part of a report.
 */
#ifndef OCT_TOOLS_SCALE_REPORT_H
#define OCT_TOOLS_SCALE_REPORT_H

#include "reports/report.h"
#include "tools/scale_results.h"

#ifdef __cplusplus
extern "C" {
#endif

/* SVG, or HTML around it, by the file's name. */
OCT_MUST_CHECK oct_status oct_scale_results_plot(oct_cli *cli, const oct_scale_results *r,
                                                 const char *path);
/* Sets report->calibration: histograms, thresholds, and with spread of method `chosen` whether they are
 * settled. The caller may add what is known about methods. */
OCT_MUST_CHECK oct_status oct_scale_results_report(oct_cli *cli, const oct_scale_results *r,
                                                   int chosen, oct_report *report);

/* The same from a statistics file, by all methods; `used` is the method (text) of the engine that is judged, "" = not
 * known. OCT_ERR_STALE: of another model. */
OCT_MUST_CHECK oct_status oct_stats_report(oct_cli *cli, const char *path, const oct_sha256 *model,
                                           const char *used, oct_report *report);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_SCALE_REPORT_H */
