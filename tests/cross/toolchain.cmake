# A cross build with Debian's compiler and libraries of another architecture, as tests/cross/run
# sets it up: CROSS_TRIPLET (aarch64-linux-gnu), CROSS_SYSROOT (a folder with that architecture's
# libraries, headers and loader) and, where this kernel does not run its programs, CROSS_EMULATOR.
# CROSS_COMPILER is clang, or the name of a gcc.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CROSS_TRIPLET CROSS_SYSROOT CROSS_EMULATOR
     CROSS_COMPILER)

set(CMAKE_SYSTEM_NAME Linux)
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR ${CROSS_TRIPLET})
set(CMAKE_SYSROOT ${CROSS_SYSROOT})
if(CROSS_COMPILER STREQUAL clang)
    set(CMAKE_C_COMPILER clang)
    set(CMAKE_C_COMPILER_TARGET ${CROSS_TRIPLET})
else()
    set(CMAKE_C_COMPILER ${CROSS_COMPILER})
endif()
set(CMAKE_LIBRARY_ARCHITECTURE ${CROSS_TRIPLET})
set(CMAKE_CROSSCOMPILING_EMULATOR ${CROSS_EMULATOR})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CROSS_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${CROSS_SYSROOT}/usr/lib/${CROSS_TRIPLET}/pkgconfig:${CROSS_SYSROOT}/usr/share/pkgconfig)

# The programs find loader and libraries in the sysroot, and so run where they were built.
file(GLOB loader ${CROSS_SYSROOT}/lib/ld*.so.[0-9] ${CROSS_SYSROOT}/lib/${CROSS_TRIPLET}/ld*.so.[0-9])
list(GET loader 0 loader)
set(folders ${CROSS_SYSROOT}/lib/${CROSS_TRIPLET} ${CROSS_SYSROOT}/usr/lib/${CROSS_TRIPLET})
list(JOIN folders : folders)
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-Wl,--disable-new-dtags -Wl,--dynamic-linker=${loader} -Wl,-rpath=${folders} -Wl,-rpath-link=${folders}")
