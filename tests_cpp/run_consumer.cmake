# Installs norch's build tree `NORCH_BUILD` below `WORK`, builds the project `CONSUMER` against it, runs its program.
cmake_minimum_required(VERSION 3.18)

file(REMOVE_RECURSE "${WORK}")

foreach(step IN ITEMS install configure build run)
  set(install "${CMAKE_COMMAND}" --install "${NORCH_BUILD}" --prefix "${WORK}/prefix")
  set(configure "${CMAKE_COMMAND}" -G "${GENERATOR}" "-DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}"
    -S "${CONSUMER}" -B "${WORK}/build" "-DCMAKE_PREFIX_PATH=${WORK}/prefix"
    "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" -DCMAKE_BUILD_TYPE=Release)
  set(build "${CMAKE_COMMAND}" --build "${WORK}/build")
  set(run "${WORK}/build/train")
  execute_process(COMMAND ${${step}} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "consumer: step '${step}' failed (${status})")
  endif()
endforeach()
