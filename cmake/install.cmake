# SPDX-License-Identifier: Apache-2.0
# Installation: program, shared library, header, CMake package, pkg-config file, man pages,
# completions; `cpack -G DEB` makes a package.
include(CMakePackageConfigHelpers)

install(TARGETS octet EXPORT octet-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET octet_program)
    install(TARGETS octet_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/octet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/octet)
install(EXPORT octet-targets NAMESPACE octet:: DESTINATION ${cmake_dir})
configure_package_config_file(cmake/octet-config.cmake.in gen/octet-config.cmake
                              INSTALL_DESTINATION ${cmake_dir})
write_basic_package_version_file(gen/octet-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gen/octet-config.cmake
              ${PROJECT_BINARY_DIR}/gen/octet-config-version.cmake DESTINATION ${cmake_dir})
configure_file(cmake/octet.pc.in gen/octet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/gen/octet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
