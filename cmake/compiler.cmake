# SPDX-License-Identifier: Apache-2.0
# Flags that every target of ours gets, as the interface target octet_flags.
include(CheckCCompilerFlag)

find_program(OCT_CCACHE ccache)
if(OCT_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${OCT_CCACHE})
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${OCT_CCACHE})
endif()

# Off: messages are cut on purpose, and gcc's guess at "maybe uninitialized" changes with every
# optimisation level and sanitizer (clang's exact one stays on).
add_library(octet_flags INTERFACE)
target_include_directories(octet_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include
                                                 ${PROJECT_BINARY_DIR}/gen)
target_compile_definitions(octet_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)

# Bits matter: no contraction, no fast-math. errno and trap flags of libm are never read, and
# giving them up changes no value but lets rintf() and sqrtf() be vectorised.
target_compile_options(octet_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-ffp-contract=off -fno-math-errno -fno-trapping-math
      -fvisibility=hidden -fno-common -Wall -Wextra -Wshadow -Wstrict-prototypes
      -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla
      -Wno-unused-parameter>
    $<$<C_COMPILER_ID:GNU>:$<$<COMPILE_LANGUAGE:C>:-Wno-format-truncation;-Wno-maybe-uninitialized>>)
if(OCT_WERROR)
    target_compile_options(octet_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-Werror>)
endif()
if(NOT OCT_SANITIZE AND NOT OCT_COVERAGE)
    target_compile_options(octet_flags INTERFACE
        $<$<AND:$<COMPILE_LANGUAGE:C>,$<CONFIG:Release>>:-fstack-protector-strong -U_FORTIFY_SOURCE
          -D_FORTIFY_SOURCE=2>)
endif()

if(OCT_SANITIZE)
    set(flags -fsanitize=${OCT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
    target_compile_options(octet_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:${flags}>)
    target_link_options(octet_flags INTERFACE -fsanitize=${OCT_SANITIZE})
    if(OCT_SANITIZE MATCHES "thread") # TSan does not see libgomp's barriers
        set(OCT_OPENMP OFF)
    endif()
endif()
if(OCT_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "OCT_FUZZ needs clang (-DCMAKE_C_COMPILER=clang)")
    endif()
    target_compile_options(octet_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link>)
endif()
if(OCT_COVERAGE)
    target_compile_options(octet_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:--coverage -O0>)
    target_link_options(octet_flags INTERFACE --coverage)
endif()

# Our SIMD files carry their instruction set in their name and are chosen at run time.
set(OCT_X86 OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(OCT_X86 ON)
    target_compile_definitions(octet_flags INTERFACE OCT_X86=1)
    check_c_compiler_flag(-mavxvnni OCT_HAVE_AVXVNNI_FLAG)
    if(OCT_HAVE_AVXVNNI_FLAG)
        target_compile_definitions(octet_flags INTERFACE OCT_X86_AVXVNNI=1)
    endif()
endif()
set(OCT_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(OCT_FLAGS_avxvnni ${OCT_FLAGS_avx2} -mavxvnni)
set(OCT_FLAGS_avx512 ${OCT_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
