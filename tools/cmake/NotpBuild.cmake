# Flags that every target of ours shares, carried by the interface target notp_build.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

option(NOTP_WERROR "Treat warnings as errors" OFF)
set(NOTP_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=<value>")
option(NOTP_FUZZ "Build the libFuzzer targets" OFF)

add_library(notp_build INTERFACE)
target_include_directories(notp_build INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_options(notp_build INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                       -Wimplicit-fallthrough)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 19)
  # Members that are not named in an initializer have defaults: that is what the defaults are for.
  target_compile_options(notp_build INTERFACE -Wno-missing-designated-field-initializers)
  # Which mutex guards what is part of a declaration: common/mutex.hpp.
  target_compile_options(notp_build INTERFACE -Werror=thread-safety)
endif()
# Two hundred programs are linked: by the linker that is several times faster, where it is.
find_program(NOTP_LLD NAMES ld.lld-19 ld.lld)
if(NOTP_LLD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_link_options(notp_build INTERFACE -fuse-ld=lld)
endif()
if(NOTP_WERROR)
  target_compile_options(notp_build INTERFACE -Werror)
endif()
if(NOTP_SANITIZE)
  target_compile_options(notp_build INTERFACE -fsanitize=${NOTP_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(notp_build INTERFACE -fsanitize=${NOTP_SANITIZE})
  # Recycled coroutine frames would hide a use after free from the address sanitizer.
  target_compile_definitions(notp_build INTERFACE BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING
                             BOOST_ASIO_DISABLE_SMALL_BLOCK_RECYCLING)
endif()
if(NOTP_FUZZ)
  target_compile_options(notp_build INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(notp_build INTERFACE _GLIBCXX_ASSERTIONS)
else()
  target_compile_definitions(notp_build INTERFACE _FORTIFY_SOURCE=2 _GLIBCXX_ASSERTIONS)
  target_compile_options(notp_build INTERFACE -fstack-protector-strong -fstack-clash-protection
                         -fcf-protection)
  target_link_options(notp_build INTERFACE -Wl,-z,relro,-z,now)
endif()

# What a person or a test drives by hand is compiled for speed of building, in Debug: half of the
# optimiser's time went to tests and commands, which wait for others anyway.
set(NOTP_UNOPTIMISED "")
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(NOTP_UNOPTIMISED -O0)
endif()

target_compile_definitions(notp_build INTERFACE NOTP_VERSION="${PROJECT_VERSION}")
