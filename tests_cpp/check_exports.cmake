# Fails when libnorch exports a symbol that is not norch's.
#   LIBRARY  the shared library
#   NM       the nm program
cmake_minimum_required(VERSION 3.18)

execute_process(COMMAND "${NM}" --dynamic --defined-only --format=posix "${LIBRARY}"
  OUTPUT_VARIABLE text RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nm failed on ${LIBRARY}")
endif()
string(REGEX MATCHALL "[^\n]+" lines "${text}")
list(LENGTH lines count)
set(foreign ${lines})
list(FILTER foreign EXCLUDE REGEX "^_Z[A-Z]*5norch")
if(foreign OR count LESS 100)
  string(REPLACE ";" "\n  " foreign "${foreign}")
  message(FATAL_ERROR "${count} exported symbols, of which not norch's:\n  ${foreign}")
endif()
message(STATUS "${count} exported symbols checked")
