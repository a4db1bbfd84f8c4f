# What CPack adds to the installed files of each package before it packs them: copyright and Debian's changelog;
# manual pages packed. Documents stay as they are: they link to each other.
find_program(gzip gzip REQUIRED)
find_program(python3 python3 REQUIRED)

set(changelog ${CPACK_TOPLEVEL_DIRECTORY}/changelog.Debian)
file(MAKE_DIRECTORY ${CPACK_TOPLEVEL_DIRECTORY})
execute_process(COMMAND ${python3} -B ${CPACK_NOTP_DEBIAN}/changelog.py ${CPACK_NOTP_CHANGELOG}
                        --version ${CPACK_PACKAGE_VERSION} --revision ${CPACK_DEBIAN_PACKAGE_RELEASE}
                        --maintainer ${CPACK_DEBIAN_PACKAGE_MAINTAINER}
                OUTPUT_FILE ${changelog} COMMAND_ERROR_IS_FATAL ANY)

foreach(package ${CPACK_COMPONENTS_ALL})
  set(share ${CPACK_TEMPORARY_DIRECTORY}/${package}/usr/share)
  file(COPY ${CPACK_NOTP_DEBIAN}/copyright DESTINATION ${share}/doc/${package})
  file(COPY ${changelog} DESTINATION ${share}/doc/${package})
  file(GLOB packed ${share}/man/*/* ${share}/doc/${package}/changelog.Debian)
  execute_process(COMMAND ${gzip} -9nf ${packed} COMMAND_ERROR_IS_FATAL ANY)
  if(EXISTS ${CPACK_NOTP_DEBIAN}/${package}.lintian-overrides)
    file(MAKE_DIRECTORY ${share}/lintian/overrides)
    file(COPY_FILE ${CPACK_NOTP_DEBIAN}/${package}.lintian-overrides ${share}/lintian/overrides/${package})
  endif()
endforeach()
