/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner's way on a device: batches of one fold, histograms that stay there.
 */
#ifndef OCT_CALIB_RUNNER_DEVICE_H
#define OCT_CALIB_RUNNER_DEVICE_H

#include "calib/runner_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the engine's backend counts on the device itself. */
bool oct_runner_on_device(const runner *r);
/* Runs pass r->pass over the source, as the host's workers do. Failures and cancellation are in
 * the record. */
OCT_MUST_CHECK oct_status oct_runner_device_pass(runner *r);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_RUNNER_DEVICE_H */
