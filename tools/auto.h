/* SPDX-License-Identifier: Apache-2.0
 *
 * octet auto: from a model and pictures to everything that a deployment needs, in one folder.
 *
 *     images ─► calibrate, choose ─► caches, Q/DQ ONNX, engines ─► evaluate ─► report, README.txt
 *
 * Each arrow is a stage (auto_stages[] in cmd_auto.c): some files, made of earlier files and of options. A stage has a key, the
 * hash of all it depends on; auto.json in the folder records the keys of finished stages and the hashes
 * of their files. A stage whose key and files still hold is not run again, so a run that was
 * killed anywhere goes on where it was. Files appear atomically and contain no clock, host, path or thread
 * count (measured times aside): going on gives the same bytes as running through.
 */
#ifndef OCT_TOOLS_AUTO_H
#define OCT_TOOLS_AUTO_H

#include "calib/calibrator.h"
#include "calib/statistics.h"
#include "reports/report.h"
#include "tools/dataset_options.h"
#include "tools/latency.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_auto oct_auto;

/* ---- files and stages (auto_state.c) ----------------------------------------------------- */

#define OCT_AUTO_MAX_FILES 4
#define OCT_AUTO_MAX_STAGES 8

/* What is in the folder. */
#define OCT_AUTO_STATE "auto.json"
#define OCT_AUTO_IMAGES "images.txt"
#define OCT_AUTO_STATISTICS "statistics.h5"
#define OCT_AUTO_CHOICE "choice.json"
#define OCT_AUTO_SCALES "scales.json"
#define OCT_AUTO_CACHE "calibration.cache"
#define OCT_AUTO_TRT "model.trt.qdq.onnx"
#define OCT_AUTO_ORT "model.ort.qdq.onnx"
#define OCT_AUTO_FP32 "model.fp32.engine"
#define OCT_AUTO_INT8 "model.int8.engine"
#define OCT_AUTO_BENCH "bench.json"
#define OCT_AUTO_REPORT_JSON "report.json"
#define OCT_AUTO_REPORT_HTML "report.html"
#define OCT_AUTO_README "README.txt"
#define OCT_AUTO_WORK "work" /* checkpoints; gone at the end */

typedef struct oct_auto_stage {
    const char *name, *title;
    const char *file[OCT_AUTO_MAX_FILES + 1];  /* made by it */
    const char *needs[OCT_AUTO_MAX_FILES + 1]; /* of earlier stages */
    /* What else it depends on, as text; every word of it goes into the key. */
    void (*options)(oct_auto *a, oct_strbuf *b);
    oct_status (*run)(oct_auto *a);
} oct_auto_stage;

typedef struct oct_auto_record {
    char file[64];
    oct_sha256 hash;
} oct_auto_record;

/* What auto.json says about a stage. */
typedef struct oct_auto_done {
    const oct_auto_stage *stage;
    bool is_done;
    oct_sha256 key;
    oct_auto_record file[OCT_AUTO_MAX_FILES];
    size_t n_files;
} oct_auto_done;

/* ---- pictures (auto_images.c) ------------------------------------------------------------ */

typedef enum oct_auto_part_id {
    OCT_AUTO_HELD_IN,   /* calibrate before the choice */
    OCT_AUTO_HELD_BACK, /* choose, then calibrate too */
    OCT_AUTO_TEST,      /* judge only */
    OCT_AUTO_LAYERS,    /* some of those that judge: compared tensor by tensor */
    OCT_AUTO_PART_COUNT,
} oct_auto_part_id;

typedef struct oct_auto_part {
    int64_t *order; /* samples of the data set, ascending */
    int64_t n;
} oct_auto_part;

/* ---- the run ----------------------------------------------------------------------------- */

struct oct_auto {
    oct_cli *cli;
    oct_ctx *ctx;
    const char *dir, *model_path, *calib_path, *test_path; /* test_path = calib_path: divided */
    const char *backend;
    oct_model *model;
    oct_input_spec input[OCT_MAX_MODEL_INPUTS];
    int n_inputs;
    oct_shape fed[OCT_MAX_MODEL_INPUTS]; /* of a batch of one */
    char *preprocess;                    /* canonical JSON; "" = none */
    oct_auto_part part[OCT_AUTO_PART_COUNT];
    bool divided;
    bool chooses_on_all; /* too few pictures to hold some back */
    bool has_labels;     /* of the test pictures: classes */
    size_t n_shared;     /* test pictures that were left out of calibration */
    oct_strbuf images;   /* text of images.txt */
    oct_strbuf coco;     /* hash of the annotations, "" = none */
    unsigned trt_version;
    oct_method chosen; /* valid once the first stage is done */
    /* state */
    int lock;
    oct_sha256 run_key;
    oct_auto_done done[OCT_AUTO_MAX_STAGES];
    size_t n_stages;
};

/* Takes the folder: makes it if need be, locks it, removes what a killed run left half written and reads auto.json.
 * OCT_ERR_USAGE: it holds something else and --force is not given, or another run works in it. */
OCT_MUST_CHECK oct_status oct_auto_open_dir(oct_auto *a, const oct_auto_stage *stages, size_t n);
void oct_auto_close_dir(oct_auto *a);
/* Runs the stages that do not hold. */
OCT_MUST_CHECK oct_status oct_auto_run_stages(oct_auto *a);
/* Removes checkpoints. */
void oct_auto_clean(oct_auto *a);

/* Full path of a file in the folder (oct_free); NULL when memory is short. */
char *oct_auto_path(const oct_auto *a, const char *file);
OCT_MUST_CHECK oct_status oct_auto_write(const oct_auto *a, const char *file, const oct_strbuf *b);
/* Hash of a file that a finished stage made. */
const oct_sha256 *oct_auto_hash(const oct_auto *a, const char *file);

/* Opens the data sets, identifies the pictures, divides them and fills `part` and `images`. */
OCT_MUST_CHECK oct_status oct_auto_divide(oct_auto *a);
void oct_auto_parts_deinit(oct_auto *a);
/* The source of a part; batches of one, decoded by the caller. Deinit `args` after closing the source. */
OCT_MUST_CHECK oct_status oct_auto_open_part(oct_auto *a, oct_auto_part_id id,
                                             oct_dataset_args *args, oct_batch_source **out);

/* Stages. */
void oct_auto_images_options(oct_auto *a, oct_strbuf *b);
OCT_MUST_CHECK oct_status oct_auto_images(oct_auto *a);
void oct_auto_scheme_options(oct_auto *a, oct_strbuf *b); /* part of several stages' options */
void oct_auto_calibrate_options(oct_auto *a, oct_strbuf *b);
OCT_MUST_CHECK oct_status oct_auto_calibrate(oct_auto *a);
void oct_auto_scales_options(oct_auto *a, oct_strbuf *b);
OCT_MUST_CHECK oct_status oct_auto_scales(oct_auto *a);
void oct_auto_build_options(oct_auto *a, oct_strbuf *b);
OCT_MUST_CHECK oct_status oct_auto_build(oct_auto *a);
void oct_auto_judge_options(oct_auto *a, oct_strbuf *b);
OCT_MUST_CHECK oct_status oct_auto_judge(oct_auto *a);

void oct_auto_bench_options(oct_auto *a, oct_strbuf *b);
OCT_MUST_CHECK oct_status oct_auto_bench(oct_auto *a);
/* Gates that report.json holds, and how many of them did not pass. */
OCT_MUST_CHECK oct_status oct_auto_gates(oct_auto *a, size_t *n, size_t *n_failed);

/* The method that choice.json names, into a->chosen. */
OCT_MUST_CHECK oct_status oct_auto_read_choice(oct_auto *a);
/* Latencies from bench.json, in `r`; NULL where none were measured. */
OCT_MUST_CHECK oct_status oct_auto_read_bench(oct_auto *a, oct_report *r,
                                              oct_report_latency *out[2]);
/* Every file's use with the lines to type, into the report; README.txt from the report. */
OCT_MUST_CHECK oct_status oct_auto_guide(const oct_auto *a, oct_report *r);
OCT_MUST_CHECK oct_status oct_auto_readme(const oct_auto *a, const oct_report *r, oct_strbuf *b);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_AUTO_H */
