/* SPDX-License-Identifier: Apache-2.0
 *
 * octet run: one inference from arrays to arrays.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/numeric.h"
#include "tools/cli.h"
#include "tools/engine_io.h"

static const oct_pos positions[] = {{.name = "MODEL", .help = "an ONNX model"}, {0}};

static const oct_opt options[] = {
    {.name = "input",
     .letter = 'i',
     .arg = "FILE|random:SEED",
     .type = OCT_OPT_TEXT,
     .repeat = true,
     .help = "an input as a .npy file or random numbers, in the model's order or as NAME=..."},
    {.name = "output",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "write the output to FILE.npy; several go to FILE.0.npy, FILE.1.npy, ..."},
    {0}};

static const oct_opt *const shared[] = {oct_engine_opts, NULL};

/* "dir/out.npy" with several outputs: "dir/out.2.npy". */
static oct_status output_path(oct_cli *cli, const char *path, size_t i, size_t n, oct_strbuf *out)
{
    const char *ext = oct_path_ext(path);
    oct_strbuf_clear(out);
    if (n == 1) {
        oct_strbuf_add(out, path);
    } else {
        oct_strbuf_add_n(out, path, strlen(path) - strlen(ext));
        oct_strbuf_addf(out, ".%zu%s", i, *ext ? ext : ".npy");
    }
    return oct_strbuf_status(out);
}

static oct_status check_outputs(oct_cli *cli, const oct_engine_io *io)
{
    const char *path = oct_cli_str(cli, "output");
    oct_strbuf name;
    oct_strbuf_init(&name, cli->ctx);
    oct_status st = OCT_OK;
    for (size_t i = 0; path && i < io->n_out && st == OCT_OK; i++) {
        st = output_path(cli, path, i, io->n_out, &name);
        if (st == OCT_OK)
            st = oct_path_check_output(cli->ctx, name.text, cli->force);
    }
    oct_strbuf_deinit(&name);
    return st;
}

static oct_status write_outputs(oct_cli *cli, const oct_engine_io *io, const oct_tensor *out)
{
    const char *path = oct_cli_str(cli, "output");
    oct_strbuf name;
    oct_strbuf_init(&name, cli->ctx);
    oct_status st = OCT_OK;
    for (size_t i = 0; path && i < io->n_out && st == OCT_OK; i++) {
        st = output_path(cli, path, i, io->n_out, &name);
        if (st == OCT_OK)
            st = oct_npy_write(cli->ctx, name.text, out[i].desc.dtype, &out[i].desc.shape,
                               out[i].data, cli->force);
    }
    oct_strbuf_deinit(&name);
    return st;
}

typedef struct value_range {
    double lo, hi, mean;
    size_t n;
} value_range;

static value_range range_of(const oct_tensor *t)
{
    value_range r = {.lo = NAN, .hi = NAN, .mean = NAN};
    double sum = 0.0;
    if (!oct_shape_elems(&t->desc.shape, &r.n) || r.n == 0)
        return r;
    for (size_t i = 0; i < r.n; i++) {
        const double x = oct_elem_f64(t->data, t->desc.dtype, i);
        r.lo = i == 0 || x < r.lo ? x : r.lo;
        r.hi = i == 0 || x > r.hi ? x : r.hi;
        sum += x;
    }
    r.mean = sum / (double)r.n;
    return r;
}

static oct_status show_table(oct_cli *cli, const oct_engine_io *io, const oct_tensor *out)
{
    oct_table *t;
    char shape[OCT_SHAPE_STR_BYTES];
    if (!oct_cli_wants_text(cli))
        return OCT_OK;
    OCT_TRY(oct_table_new(cli->ctx, "output|type|shape|>min|>mean|>max", &t));
    for (size_t i = 0; i < io->n_out; i++) {
        const value_range r = range_of(&out[i]);
        oct_table_str(t, io->out[i].name);
        oct_table_str(t, oct_dtype_str(out[i].desc.dtype));
        oct_table_str(t, oct_shape_str(&out[i].desc.shape, shape, sizeof shape));
        oct_table_fixed(t, r.lo, 6);
        oct_table_fixed(t, r.mean, 6);
        oct_table_fixed(t, r.hi, 6);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static oct_status show_json(oct_cli *cli, const oct_engine_io *io, const oct_tensor *out)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.run/1");
    oct_json_key(&j, "outputs");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < io->n_out; i++) {
        const value_range r = range_of(&out[i]);
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "name", io->out[i].name);
        oct_json_kv_string(&j, "dtype", oct_dtype_str(out[i].desc.dtype));
        oct_json_kv_shape(&j, "shape", out[i].desc.shape.dim, out[i].desc.shape.n_dims);
        oct_json_kv_f64(&j, "min", r.lo);
        oct_json_kv_f64(&j, "mean", r.mean);
        oct_json_kv_f64(&j, "max", r.hi);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status run_once(oct_cli *cli, oct_engine_io *io, oct_worker *w)
{
    oct_tensor *in = oct_zalloc_array(cli->ctx, io->n_in + io->n_out + 1, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    oct_tensor *out = in + io->n_in;
    oct_engine_io_tensors(io, in);
    oct_status st = oct_worker_run(w, cli->ctx, in, io->n_in, out, io->n_out, NULL);
    if (st == OCT_OK)
        st = write_outputs(cli, io, out);
    if (st == OCT_OK)
        st = show_table(cli, io, out);
    if (st == OCT_OK)
        st = show_json(cli, io, out);
    oct_free(cli->ctx, in);
    return st;
}

static oct_status run_engine(oct_cli *cli, oct_engine_io *io)
{
    for (int i = 0; i < oct_cli_count(cli, "input"); i++)
        OCT_TRY(oct_engine_io_set(io, cli, oct_cli_str_at(cli, "input", i)));
    OCT_TRY(oct_engine_io_check(io, cli));
    OCT_TRY(check_outputs(cli, io));
    oct_worker *w;
    OCT_TRY(oct_worker_new(io->engine, cli->ctx, &w));
    const oct_status st = run_once(cli, io, w);
    oct_worker_free(w, cli->ctx);
    return st;
}

static oct_status run(oct_cli *cli)
{
    oct_engine_io io;
    oct_status st = oct_engine_io_init(&io, cli, cli->pos[0], cli->n_threads);
    if (st == OCT_OK)
        st = run_engine(cli, &io);
    if (st == OCT_OK)
        oct_cli_summary(cli, "ran %s, %zu output%s", cli->pos[0], io.n_out,
                        io.n_out == 1 ? "" : "s");
    oct_engine_io_deinit(&io, cli);
    return st;
}

const oct_cmd oct_cmd_run = {
    .name = "run",
    .summary = "run a model once on arrays",
    .examples = "  octet run m.onnx --input x.npy -o y.npy       one input, one output\n"
                "  octet run m.onnx --input random:1             random numbers, prints ranges\n"
                "  octet run m.onnx -i ids=a.npy -i mask=b.npy   inputs by name\n",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 25,
};
