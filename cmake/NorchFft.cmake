# FFTW for the Fourier transforms of C++ programs on the CPU (libnorch/src/core/fft_provider.h). In the Python package
# NumPy's do that work. FFTW is under the GPL, so it is used only where asked for, and never in a wheel.
if(NORCH_FFTW AND NOT NORCH_IS_WHEEL)
  find_path(NORCH_FFTW_INCLUDE fftw3.h)
  find_library(NORCH_FFTW_DOUBLE fftw3)
  find_library(NORCH_FFTW_SINGLE fftw3f)
  mark_as_advanced(NORCH_FFTW_INCLUDE NORCH_FFTW_DOUBLE NORCH_FFTW_SINGLE)
  if(NOT NORCH_FFTW_INCLUDE OR NOT NORCH_FFTW_DOUBLE OR NOT NORCH_FFTW_SINGLE)
    message(FATAL_ERROR "NORCH_FFTW=ON, but FFTW was not found: install it (Debian: libfftw3-dev)")
  endif()
  target_include_directories(norch_private SYSTEM INTERFACE "${NORCH_FFTW_INCLUDE}")
  target_link_libraries(norch_private INTERFACE "${NORCH_FFTW_DOUBLE}" "${NORCH_FFTW_SINGLE}")
  target_compile_definitions(norch_private INTERFACE NORCH_HAVE_FFTW=1)
endif()
