# The hardening flags of Debian's packages (dpkg-buildflags, hardening=+all), for a build without them: what people
# build from the source and preload into their servers is as hard as the package.  Included by the main CMakeLists.txt.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckPIESupported)

set(FREEONCE_HARD_COMPILE -fstack-protector-strong -Werror=format-security)
set(FREEONCE_HARD_LINK -Wl,-z,noexecstack,-z,relro,-z,now)

# It needs an optimised build, and a sanitizer has checks of its own in the same functions.  The level of the caller's
# CFLAGS, or of the compiler's own, stays.
set(CMAKE_REQUIRED_FLAGS -O2)
check_c_source_compiles("#ifndef _FORTIFY_SOURCE\n#error\n#endif\nint main(void) { return 0; }" FREEONCE_HAS_FORTIFY)
unset(CMAKE_REQUIRED_FLAGS)
if(NOT FREEONCE_SANITIZE AND NOT FREEONCE_HAS_FORTIFY)
  list(APPEND FREEONCE_HARD_COMPILE
       $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()

# Where may a return and a jump go?  (Intel's shadow stacks and IBT, Arm's PAC and BTI.)  The library, which programs
# call for each block and each lock, is without IBT: an instruction more for each call is 0.4 % of a TLS handshake, and
# no Linux kernel checks it outside of itself.
set(FREEONCE_HARD_JUMPS)
set(FREEONCE_HARD_JUMPS_IN_LIBRARY)
set(FREEONCE_HARD_NOTES none) # what readelf -n shows then
set(FREEONCE_HARD_NOTES_IN_LIBRARY none)
if(CMAKE_C_FLAGS MATCHES "-fcf-protection|-mbranch-protection") # the caller's choice stays
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
  check_c_compiler_flag(-fcf-protection=full FREEONCE_HAS_CF_PROTECTION)
  if(FREEONCE_HAS_CF_PROTECTION)
    set(FREEONCE_HARD_JUMPS -fcf-protection=full)
    set(FREEONCE_HARD_JUMPS_IN_LIBRARY -fcf-protection=return)
    set(FREEONCE_HARD_NOTES IBT,SHSTK)
    set(FREEONCE_HARD_NOTES_IN_LIBRARY SHSTK)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  check_c_compiler_flag(-mbranch-protection=standard FREEONCE_HAS_BRANCH_PROTECTION)
  if(FREEONCE_HAS_BRANCH_PROTECTION)
    set(FREEONCE_HARD_JUMPS -mbranch-protection=standard)
    set(FREEONCE_HARD_JUMPS_IN_LIBRARY -mbranch-protection=standard)
    set(FREEONCE_HARD_NOTES BTI,PAC)
    set(FREEONCE_HARD_NOTES_IN_LIBRARY BTI,PAC)
  endif()
endif()

check_pie_supported(LANGUAGES C)

# freeonce_harden(TARGET...): what is compiled for it, and how it is linked.
function(freeonce_harden)
  foreach(target IN LISTS ARGN)
    get_target_property(type ${target} TYPE)
    set(jumps ${FREEONCE_HARD_JUMPS})
    if(target MATCHES "^freeonce(_core)?$")
      set(jumps ${FREEONCE_HARD_JUMPS_IN_LIBRARY})
    endif()
    target_compile_options(${target} PRIVATE ${FREEONCE_HARD_COMPILE} ${jumps})
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    if(NOT type STREQUAL "OBJECT_LIBRARY")
      target_link_options(${target} PRIVATE ${FREEONCE_HARD_LINK})
    endif()
  endforeach()
endfunction()
