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

# Man pages and completions come from the program itself, so they match it. A cross-compiled
# program cannot run here: then they are left out.
if(TARGET octet_program AND NOT CMAKE_CROSSCOMPILING)
    set(docs ${PROJECT_BINARY_DIR}/docs)
    set(env ${CMAKE_COMMAND} -E env LSAN_OPTIONS=detect_leaks=0)
    set(commands ${cmds})
    list(TRANSFORM commands REPLACE ".*/cmd_(.*)\\.c" "\\1")
    set(script "set -e; octet=$1; cd $2; $octet --man >octet.1\n")
    foreach(command ${commands})
        string(APPEND script "$octet --man ${command} >octet-${command}.1\n")
    endforeach()
    string(APPEND script "for shell in bash zsh fish; do $octet completion $shell >$shell; done\n")
    file(WRITE ${PROJECT_BINARY_DIR}/gen/make_docs.sh "${script}")
    file(MAKE_DIRECTORY ${docs})
    add_custom_command(OUTPUT ${docs}/fish DEPENDS octet_program
        COMMAND ${env} sh ${PROJECT_BINARY_DIR}/gen/make_docs.sh $<TARGET_FILE:octet_program> ${docs}
        COMMENT "man pages and completions")
    add_custom_target(octet_docs ALL DEPENDS ${docs}/fish)
    install(DIRECTORY ${docs}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1
            FILES_MATCHING PATTERN "*.1")
    install(FILES ${docs}/bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
            RENAME octet)
    install(FILES ${docs}/zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _octet)
    install(FILES ${docs}/fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
            RENAME octet.fish)
endif()

if(EXISTS ${PROJECT_SOURCE_DIR}/LICENSE)
    install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
    set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
endif()
set(CPACK_PACKAGE_NAME octet)
set(CPACK_PACKAGE_VENDOR "octet authors")
set(CPACK_PACKAGE_CONTACT "octet authors <octet@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_GENERATOR TGZ)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
include(CPack)
