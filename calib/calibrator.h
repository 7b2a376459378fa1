/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibrators: from the distribution of a tensor to the threshold `amax` of its symmetric
 * INT8 scale, amax / 127. They work on statistics alone, so one pass over the data serves
 * all of them, in milliseconds.
 *
 * One calibrator is one file behind oct_calibrator; its head states formula, tie-break, what
 * it does with zeros, and source. Add one: write the file, list it in calibrator.c.
 *
 * Defined outcomes, whatever the method:
 *   every value zero        amax 1 (scale 1/127), OCT_CALIB_DEAD
 *   constant, one-sided     nothing special: the method's formula on |x|
 *   scale below FLT_MIN     FLT_MIN; above FLT_MAX cannot be
 * A scale is therefore never zero, infinite or NaN.
 */
#ifndef OCT_CALIB_CALIBRATOR_H
#define OCT_CALIB_CALIBRATOR_H

#include "calib/density.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    OCT_CALIB_DEAD = 1,      /* all values are zero: scale 1/127 */
    OCT_CALIB_FELL_BACK = 2, /* the method gave 0; amax of the tensor is used */
    OCT_CALIB_POOR = 4,      /* expected error above OCT_CALIB_GUARD times minmax's */
};
#define OCT_CALIB_GUARD 4.0

typedef struct oct_calib_result {
    float amax;          /* threshold, > 0, finite */
    float scale;         /* amax / 127, at least FLT_MIN */
    int candidate;       /* entropy: the chosen m; else 0 */
    unsigned flags;      /* OCT_CALIB_* */
    double error;        /* expected (x - Q(x))^2 a value */
    double minmax_error; /* the same for minmax */
    double sqnr_db;      /* signal power over error; infinite for a dead tensor */
} oct_calib_result;

/* Memory of one thread of calibration; reused over tensors. */
typedef struct oct_calib_work oct_calib_work;
OCT_MUST_CHECK oct_status oct_calib_work_new(oct_ctx *ctx, oct_calib_work **out);
void oct_calib_work_free(oct_ctx *ctx, oct_calib_work *w); /* NULL is allowed */
oct_density *oct_calib_work_density(oct_calib_work *w);    /* what oct_calibrate_hist() loads */
oct_density_shape *oct_calib_work_shape(oct_calib_work *w);
oct_density *oct_calib_work_part(oct_calib_work *w); /* another one, for some of the folds */

typedef struct oct_calibrator {
    const char *name;
    const char *summary; /* one line for help */
    bool has_param;      /* "name:number" */
    bool smooth;         /* the threshold moves little when few values are left out */
    double param_default, param_min, param_max;
    /* Fills amax (0 = no answer) and candidate. d->amax > 0. */
    void (*choose)(oct_calib_work *w, const oct_density *d, double param, oct_calib_result *r);
} oct_calibrator;

extern const oct_calibrator oct_calibrator_minmax, oct_calibrator_percentile,
    oct_calibrator_entropy, oct_calibrator_mse;

/* Calibrator number `i`; NULL past the last. */
const oct_calibrator *oct_calibrator_at(int i);

/* A calibrator and its parameter. */
typedef struct oct_method {
    const oct_calibrator *calibrator;
    double param;
} oct_method;

#define OCT_METHOD_DEFAULT "mse"
/* "minmax", "percentile", "percentile:99.9", "entropy", "mse". OCT_ERR_USAGE lists what there is. */
OCT_MUST_CHECK oct_status oct_method_parse(oct_ctx *ctx, const char *text, oct_method *out);
#define OCT_METHOD_TEXT_BYTES 64
const char *oct_method_text(const oct_method *m, char buf[OCT_METHOD_TEXT_BYTES]);

/* The threshold alone: 0 if every value is zero, else positive and finite. */
float oct_calib_amax(oct_calib_work *w, const oct_method *m, const oct_density *d);
/* Calibrates one distribution; cannot fail. */
void oct_calibrate_density(oct_calib_work *w, const oct_method *m, const oct_density *d,
                           oct_calib_result *r);
/* Loads `h` into the work's density first. `exact`: see oct_density. */
void oct_calibrate_hist(oct_calib_work *w, const oct_method *m, const oct_hist *h,
                        const uint64_t *exact, oct_calib_result *r);

/* amax / 127 as a float of at least FLT_MIN. */
float oct_calib_scale(float amax);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_CALIBRATOR_H */
