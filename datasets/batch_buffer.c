/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/batch_buffer.h"

#include <string.h>

void oct_load_scratch_deinit(oct_ctx *ctx, oct_load_scratch *s)
{
    oct_preprocess_scratch_free(ctx, s->pre);
    oct_free(ctx, s->file);
    *s = (oct_load_scratch){0};
}

void oct_batch_buffer_free(oct_ctx *ctx, const oct_loader_config *c, oct_batch_buffer *b)
{
    if (b == NULL)
        return;
    for (int k = 0; k < c->n_inputs && b->tensor != NULL; k++)
        oct_free(ctx, b->tensor[k].data);
    for (int r = 0; r < c->batch && b->row != NULL; r++)
        oct_free(ctx, b->row[r].reason);
    oct_free(ctx, b->tensor);
    oct_free(ctx, b->sample);
    oct_free(ctx, b->row);
    oct_free(ctx, b->row_dst);
    oct_load_scratch_deinit(ctx, &b->scratch);
    oct_free(ctx, b);
}

static oct_status make_tensors(oct_ctx *ctx, const oct_loader_config *c, oct_batch_buffer *b)
{
    for (int k = 0; k < c->n_inputs; k++) {
        const oct_loader_input *in = &c->input[k];
        /* The last row of an image input is decoded in place and may be overrun by vector code. */
        void *data = oct_zalloc(ctx, in->total_bytes + OCT_IMAGE_SLACK_BYTES);
        if (data == NULL)
            return OCT_ERR_NOMEM;
        if (in->constant != NULL)
            memcpy(data, in->constant, in->total_bytes);
        b->tensor[k] = (oct_tensor){in->desc, data};
    }
    return OCT_OK;
}

oct_status oct_batch_buffer_new(oct_ctx *ctx, const oct_loader_config *c, oct_batch_buffer **out)
{
    const size_t n = (size_t)c->batch, m = (size_t)c->n_inputs;
    oct_batch_buffer *b = oct_zalloc(ctx, sizeof *b);
    if (b == NULL)
        return OCT_ERR_NOMEM;
    b->tensor = oct_zalloc_array(ctx, m, sizeof *b->tensor);
    b->sample = oct_zalloc_array(ctx, n, sizeof *b->sample);
    b->row = oct_zalloc_array(ctx, n, sizeof *b->row);
    b->row_dst = oct_zalloc_array(ctx, n * m, sizeof *b->row_dst);
    const bool ok = b->tensor != NULL && b->sample != NULL && b->row != NULL && b->row_dst != NULL;
    const oct_status st = ok ? make_tensors(ctx, c, b) : OCT_ERR_NOMEM;
    if (st != OCT_OK) {
        oct_batch_buffer_free(ctx, c, b);
        return st;
    }
    b->batch.n_inputs = c->n_inputs;
    b->batch.input = b->tensor;
    b->batch.sample = b->sample;
    *out = b;
    return OCT_OK;
}

void oct_batch_buffer_begin(const oct_loader_config *c, oct_batch_buffer *b, uint64_t index)
{
    const int64_t left = c->n_order - (int64_t)index * c->batch;
    b->batch.index = index;
    b->n_rows = left < c->batch ? (int)left : c->batch;
    b->n_taken = 0;
    b->n_finished = 0;
    b->handed_out = false;
}

void oct_batch_buffer_load(const oct_loader_config *c, oct_ctx *ctx, oct_load_scratch *scratch,
                           oct_batch_buffer *b, int r)
{
    oct_batch_row *row = &b->row[r];
    oct_sample *sample = &b->sample[r];
    void **dst = b->row_dst + (size_t)r * (size_t)c->n_inputs;
    const int64_t i = c->order[(int64_t)b->batch.index * c->batch + r];
    memset(sample, 0, sizeof *sample);
    sample->name = c->source->vt->name(c->source, i, row->name);
    sample->index = i;
    sample->label = c->source->label != NULL ? c->source->label[i] : OCT_LABEL_NONE;
    for (int k = 0; k < c->n_inputs; k++)
        dst[k] = c->input[k].row_bytes == 0
                     ? NULL
                     : (uint8_t *)b->tensor[k].data + (size_t)r * c->input[k].row_bytes;
    row->status = c->source->vt->load(c->source, ctx, scratch, i, dst, sample);
    if (row->status == OCT_OK)
        return;
    row->reason = oct_strdup(ctx, oct_error_text(ctx));
    oct_error_clear(ctx);
}

static void move_row(const oct_loader_config *c, oct_batch_buffer *b, int from, int to)
{
    for (int k = 0; k < c->n_inputs; k++) {
        const size_t n = c->input[k].row_bytes;
        uint8_t *data = b->tensor[k].data;
        if (n > 0)
            memcpy(data + (size_t)to * n, data + (size_t)from * n, n);
    }
    b->sample[to] = b->sample[from];
    if (b->sample[from].name == b->row[from].name) { /* the text moves along */
        memcpy(b->row[to].name, b->row[from].name, sizeof b->row[to].name);
        b->sample[to].name = b->row[to].name;
    }
}

int oct_batch_buffer_finish(const oct_loader_config *c, oct_batch_buffer *b)
{
    int n = 0;
    for (int r = 0; r < b->n_rows; r++) {
        if (b->row[r].status != OCT_OK)
            continue;
        if (n != r)
            move_row(c, b, r, n);
        n++;
    }
    for (int k = 0; k < c->n_inputs; k++) {
        const size_t row = c->input[k].row_bytes;
        memset((uint8_t *)b->tensor[k].data + (size_t)n * row, 0, (size_t)(c->batch - n) * row);
    }
    b->batch.n_samples = n;
    return n;
}
