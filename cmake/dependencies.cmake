# SPDX-License-Identifier: Apache-2.0
# Third-party libraries, gathered in the interface target octet_deps (table: DESIGN 10,
# packages: tools/setup.sh).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

# FindHDF5 also lists what libhdf5.so itself needs (curl, sz, ...); a shared one brings it along.
set(OCT_HDF5_LIBRARIES ${HDF5_C_LIBRARIES})
if("${HDF5_C_LIBRARIES}" MATCHES "libhdf5[a-z_]*\\.so")
    list(FILTER OCT_HDF5_LIBRARIES INCLUDE REGEX "libhdf5")
endif()

add_library(octet_deps INTERFACE)
target_link_libraries(octet_deps INTERFACE PNG::PNG JPEG::JPEG OpenSSL::Crypto PkgConfig::PROTOBUF_C
                      PkgConfig::JANSSON PkgConfig::XXHASH ${OCT_HDF5_LIBRARIES} Threads::Threads
                      ${CMAKE_DL_LIBS} m)
target_include_directories(octet_deps SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_compile_definitions(octet_deps INTERFACE H5_USE_18_API) # same names in HDF5 1.10 .. 1.14

# OpenMP: the runtime must be the one oneDNN uses (libgomp), or two pools fight for the cores:
# clang, which brings libomp, gets pthreads unless OpenMP is asked for.
set(OCT_HAVE_OPENMP OFF)
if(OCT_OPENMP STREQUAL "AUTO" AND CMAKE_C_COMPILER_ID MATCHES "Clang")
    set(OCT_OPENMP OFF)
endif()
if(NOT OCT_OPENMP STREQUAL "OFF")
    find_package(OpenMP COMPONENTS C)
    if(OpenMP_C_FOUND)
        set(OCT_HAVE_OPENMP ON)
        target_link_libraries(octet_deps INTERFACE OpenMP::OpenMP_C)
        target_compile_definitions(octet_deps INTERFACE OCT_HAVE_OPENMP=1)
    elseif(OCT_OPENMP STREQUAL "ON")
        message(FATAL_ERROR "OCT_OPENMP=ON, but the compiler has no OpenMP")
    endif()
endif()

# oneDNN v2 or v3 by header and library, not by its CMake package: Debian's pulls in OpenCL.
set(OCT_HAVE_ONEDNN OFF)
set(OCT_ONEDNN_VERSION "none")
if(OCT_ONEDNN)
    find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.h HINTS ${DNNL_ROOT} ENV DNNL_ROOT
              PATH_SUFFIXES include)
    find_library(DNNL_LIBRARY dnnl HINTS ${DNNL_ROOT} ENV DNNL_ROOT PATH_SUFFIXES lib lib64)
    if(DNNL_INCLUDE_DIR AND DNNL_LIBRARY)
        file(STRINGS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h text REGEX "define DNNL_VERSION_")
        string(REGEX MATCH "VERSION_MAJOR +([0-9]+)" _ "${text}")
        set(major ${CMAKE_MATCH_1})
        string(REGEX MATCH "VERSION_MINOR +([0-9]+)" _ "${text}")
        set(OCT_ONEDNN_VERSION ${major}.${CMAKE_MATCH_1})
        set(OCT_HAVE_ONEDNN ON)
        add_library(octet_dnnl UNKNOWN IMPORTED)
        set_target_properties(octet_dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
                              INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR}
                              INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
        target_link_libraries(octet_deps INTERFACE octet_dnnl)
        target_compile_definitions(octet_deps INTERFACE OCT_HAVE_ONEDNN=1)
    else()
        message(WARNING "oneDNN not found: CPU kernels will be our own only, and slower "
                        "(tools/setup.sh installs it; -DOCT_ONEDNN=OFF silences this)")
    endif()
endif()

set(OCT_HAVE_CUDA OFF)
if(NOT OCT_CUDA STREQUAL "OFF")
    include(CheckLanguage)
    if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
        find_program(OCT_NVCC nvcc HINTS /usr/local/cuda/bin)
        if(OCT_NVCC)
            set(CMAKE_CUDA_COMPILER ${OCT_NVCC})
        endif()
    endif()
    if(NOT CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES 80 86 87 89 90a 90-virtual)
    endif()
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        set(OCT_HAVE_CUDA ON)
        enable_language(CXX)
        enable_language(CUDA)
        set(CMAKE_CUDA_STANDARD 17)
        find_package(CUDAToolkit REQUIRED)
        target_link_libraries(octet_deps INTERFACE CUDA::cudart CUDA::cublasLt)
        target_compile_definitions(octet_deps INTERFACE OCT_HAVE_CUDA=1)
        target_compile_options(octet_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false
                               -Xcompiler=-Wall,-fvisibility=hidden>)
    elseif(OCT_CUDA STREQUAL "ON")
        message(FATAL_ERROR "OCT_CUDA=ON, but no CUDA compiler was found (set CUDACXX)")
    endif()
endif()

message(STATUS "octet ${PROJECT_VERSION}: oneDNN ${OCT_ONEDNN_VERSION}, OpenMP ${OCT_HAVE_OPENMP}, "
               "CUDA ${OCT_HAVE_CUDA}, x86 SIMD ${OCT_X86}, HDF5 ${HDF5_VERSION}")
