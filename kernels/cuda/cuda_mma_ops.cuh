/* SPDX-License-Identifier: Apache-2.0
 *
 * The instructions behind the tensor-core kernels, in PTX: asynchronous copies, ldmatrix,
 * mma.sync and programmatic dependent launch. Source: NVIDIA PTX ISA 9.0.
 *
 * In all types one step of k is 32 bytes: a fragment of A is 16 rows x 32 bytes in 4 registers, one
 * of B 8 columns x 32 bytes in 2, and ldmatrix loads both the same way.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_OPS_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_OPS_CUH

#include <stdint.h>

#define OCT_MMA_DEV static __device__ __forceinline__

OCT_MMA_DEV uint32_t oct_smem(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

/* Copies `bytes` (0..16) to shared memory and clears the rest of 16. */
OCT_MMA_DEV void oct_cp16(uint32_t dst, const void *src, int bytes)
{
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(dst), "l"(src),
                 "r"(bytes));
}
OCT_MMA_DEV void oct_cp8(uint32_t dst, const void *src, int bytes)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(dst), "l"(src), "r"(bytes));
}
OCT_MMA_DEV void oct_cp4(uint32_t dst, const void *src, int bytes)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(dst), "l"(src), "r"(bytes));
}
OCT_MMA_DEV void oct_cp_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N>
OCT_MMA_DEV void oct_cp_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

OCT_MMA_DEV void oct_ldmatrix(uint32_t (&r)[4], uint32_t addr)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(addr));
}

/* Until the kernels before this one in the stream have finished. */
OCT_MMA_DEV void oct_wait_for_inputs()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/* The next kernel may start its prologue. */
OCT_MMA_DEV void oct_let_next_start()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* ---- one element type each: sums, fragments, what a fast output is ---- */

struct oct_op_s8 {
    typedef int32_t acc;
    static constexpr bool integer = true;
    static constexpr int elem = 1, out = 1;
    static __device__ __forceinline__ void mma(acc *d, const uint32_t (&a)[4], uint32_t b0,
                                               uint32_t b1)
    {
        asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
            "{%8,%9}, {%0,%1,%2,%3};"
            : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};

struct oct_op_u8 {
    typedef int32_t acc;
    static constexpr bool integer = true;
    static constexpr int elem = 1, out = 1;
    static __device__ __forceinline__ void mma(acc *d, const uint32_t (&a)[4], uint32_t b0,
                                               uint32_t b1)
    {
        asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
            "{%8,%9}, {%0,%1,%2,%3};"
            : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};

struct oct_op_f16 {
    typedef float acc;
    static constexpr bool integer = false;
    static constexpr int elem = 2, out = 2;
    static __device__ __forceinline__ void mma(acc *d, const uint32_t (&a)[4], uint32_t b0,
                                               uint32_t b1)
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
            "{%8,%9}, {%0,%1,%2,%3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};

struct oct_op_tf32 {
    typedef float acc;
    static constexpr bool integer = false;
    static constexpr int elem = 4, out = 4;
    static __device__ __forceinline__ void mma(acc *d, const uint32_t (&a)[4], uint32_t b0,
                                               uint32_t b1)
    {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
            "{%8,%9}, {%0,%1,%2,%3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_OPS_CUH */
