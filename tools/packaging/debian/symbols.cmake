# What CPack leaves wrong in the packages of debug symbols: md5sums names files where they were put together, and there
# is no folder of documents. It becomes a link to that of the program's package, which each depends on.
find_program(dpkg_deb dpkg-deb REQUIRED)

foreach(file ${CPACK_PACKAGE_FILES})
  if(NOT file MATCHES "/([^/_]+)-dbgsym_[^/]*\\.ddeb$")
    continue()
  endif()
  set(package ${CMAKE_MATCH_1})
  set(tree ${file}.tree)
  file(REMOVE_RECURSE ${tree})
  execute_process(COMMAND ${dpkg_deb} -R ${file} ${tree} COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${tree}/DEBIAN/md5sums sums)
  string(REGEX REPLACE "  [^\n]*/${package}-dbgsym/" "  " sums "${sums}")
  file(WRITE ${tree}/DEBIAN/md5sums "${sums}")
  file(MAKE_DIRECTORY ${tree}/usr/share/doc)
  file(CREATE_LINK ${package} ${tree}/usr/share/doc/${package}-dbgsym SYMBOLIC)
  execute_process(COMMAND ${dpkg_deb} -Z${CPACK_DEBIAN_COMPRESSION_TYPE} --root-owner-group -b ${tree} ${file}
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE_RECURSE ${tree})
endforeach()
