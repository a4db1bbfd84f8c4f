# notp_test(NAME name LABEL label SOURCES files... [LIBS libs...] [TIMEOUT seconds] [ARGS args...])
# A doctest program. Labels: those of tests/README.md.
#
# notp_long_test(NAME name OF test [TIMEOUT seconds] ENVIRONMENT NAME=value...)
# The same program as the test `OF`, more often: a slow proof, run by `tools/test --long` alone.
set(NOTP_TEST_LABELS unit integration conformance e2e field property attack hostile fault sim fuzz)

function(notp_test)
  cmake_parse_arguments(T "" "NAME;LABEL;TIMEOUT" "SOURCES;LIBS;ARGS" ${ARGN})
  if(NOT T_LABEL IN_LIST NOTP_TEST_LABELS)
    message(FATAL_ERROR "test ${T_NAME}: label '${T_LABEL}' is none of ${NOTP_TEST_LABELS}")
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  # The framework's own code is half of a small test's build: compiled once.
  if(NOT TARGET notp_doctest_main)
    add_library(notp_doctest_main STATIC ${CMAKE_SOURCE_DIR}/tests/support/doctest_main.cpp)
    target_link_libraries(notp_doctest_main PRIVATE notp_build)
  endif()
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE notp_build ${T_LIBS} notp_doctest_main)
  set_target_properties(${T_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(T_LABEL MATCHES "^(property|fuzz|conformance|fault)$")
    set_target_properties(${T_NAME} PROPERTIES NOTP_COMPUTES ON)
  endif()
  add_test(NAME ${T_NAME} COMMAND ${T_NAME} ${T_ARGS})
  # What may take longest begins first, so that no core waits for it in the end.
  set_tests_properties(${T_NAME} PROPERTIES LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT} COST ${T_TIMEOUT}
      ENVIRONMENT "NOTP_BIN=${CMAKE_BINARY_DIR}/bin;NOTP_SOURCE=${CMAKE_SOURCE_DIR}")
endfunction()

function(notp_long_test)
  cmake_parse_arguments(T "" "NAME;OF;TIMEOUT" "ENVIRONMENT;ARGS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 3600)
  endif()
  add_test(NAME ${T_NAME} COMMAND ${T_OF} ${T_ARGS})
  set_tests_properties(${T_NAME} PROPERTIES LABELS long TIMEOUT ${T_TIMEOUT} RUN_SERIAL ON
      ENVIRONMENT "NOTP_BIN=${CMAKE_BINARY_DIR}/bin;NOTP_SOURCE=${CMAKE_SOURCE_DIR};${T_ENVIRONMENT}")
endfunction()
