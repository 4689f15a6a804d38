# What is missing to build this part, which package has it, and how is the part left out?  Called by the
# CMakeLists.txt of each part that needs more than a compiler and libc.

# freeonce_need(PREFIX PART OPTION [PACKAGE pkg-config module, Debian package]...)
# makes PkgConfig::PREFIX of the modules, or ends with one message that names all that is missing.
function(freeonce_need prefix part option)
  find_package(PkgConfig QUIET)
  if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "${part} needs pkg-config (Debian: pkg-config). Without ${part}: -D${option}=OFF")
  endif()
  set(modules)
  set(missing)
  while(ARGN)
    list(POP_FRONT ARGN module package)
    string(MAKE_C_IDENTIFIER "${prefix}_${module}" one)
    pkg_check_modules(${one} QUIET ${module})
    if(NOT ${one}_FOUND)
      string(APPEND missing "\n  ${module} (Debian: ${package})")
    endif()
    list(APPEND modules ${module})
  endwhile()
  if(missing)
    message(FATAL_ERROR "${part} needs, and pkg-config does not find:${missing}\n"
                        "Install them, or build without ${part}: -D${option}=OFF")
  endif()
  pkg_check_modules(${prefix} QUIET REQUIRED IMPORTED_TARGET GLOBAL ${modules})
endfunction()
