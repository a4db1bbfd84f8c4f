# Debian packages by CPack, from what is installed: `cmake --build build/release --target package`.
set(NOTP_MAINTAINER "whoever built it <root@localhost>" CACHE STRING "Whom the packages name: NAME <ADDRESS>")
set(NOTP_HOMEPAGE "" CACHE STRING "The address of the project that the packages name, if it has one")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_NOTP_DEBIAN ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_NOTP_CHANGELOG ${CMAKE_SOURCE_DIR}/.github/CHANGELOG.md)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/stage.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/symbols.cmake)
set(CPACK_COMPONENTS_ALL notp notp-common notp-server notp-client notp-doc)
set(CPACK_VERBATIM_VARIABLES ON)
# Each package has a short description of its own, in its first line.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
# The units name the folder of the programs: the real one, not where they are put together.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
# Debian's own is 022; files have the mode that the installation gives them.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SOURCE notp)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${NOTP_MAINTAINER})
if(NOTP_HOMEPAGE)
  set(CPACK_DEBIAN_PACKAGE_HOMEPAGE ${NOTP_HOMEPAGE})
endif()
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_THREADS 0)

# notp_package(NAME SECTION section [PROGRAMS] [ALL] [DEPENDS d] [RECOMMENDS r] [SUGGESTS s] [SCRIPTS folder]
#              DESCRIPTION text)
# PROGRAMS: it has programs that are linked, so that their libraries are found, and their symbols apart.
# DESCRIPTION: the first line is the short one.
macro(notp_package name)
  cmake_parse_arguments(P "PROGRAMS;ALL" "SECTION;DEPENDS;RECOMMENDS;SUGGESTS;SCRIPTS;DESCRIPTION" "" ${ARGN})
  string(TOUPPER ${name} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${P_SECTION})
  set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "${P_DEPENDS}")
  set(CPACK_DEBIAN_${key}_PACKAGE_RECOMMENDS "${P_RECOMMENDS}")
  set(CPACK_DEBIAN_${key}_PACKAGE_SUGGESTS "${P_SUGGESTS}")
  set(CPACK_DEBIAN_${key}_DESCRIPTION "${P_DESCRIPTION}")
  set(CPACK_DEBIAN_${key}_PACKAGE_SHLIBDEPS ${P_PROGRAMS})
  set(CPACK_DEBIAN_${key}_DEBUGINFO_PACKAGE ${P_PROGRAMS})
  if(P_ALL)
    set(CPACK_DEBIAN_${key}_PACKAGE_ARCHITECTURE all)
  endif()
  if(P_SCRIPTS)
    list(TRANSFORM scripts PREPEND ${CMAKE_CURRENT_LIST_DIR}/${P_SCRIPTS}/
         OUTPUT_VARIABLE CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA)
  endif()
endmacro()

set(scripts postinst prerm postrm)
# All are built together: an upgrade takes them together, too.
set(same "notp-common (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(carries "NOTP carries authorization models (policies in Rego, trust data and keys)
from their authors to every node that decides with them: each release is
signed, numbered, and travels as a delta.")
notp_package(notp SECTION admin PROGRAMS DEPENDS ${same} SCRIPTS mirror
  RECOMMENDS "git, openssh-client, systemd | systemd-standalone-sysusers" SUGGESTS "gnupg, notp-doc"
  DESCRIPTION "publish authorization models to the nodes that decide with them
${carries}

This package has the command line: it validates, plans and publishes models,
shows which node runs what, sets up a trust domain, and searches the records
of decisions. With it are its manual pages, its completion for bash, zsh and
fish, and a unit for systemd that publishes what Git repositories have, which
does not start before there is a configuration.")
notp_package(notp-common SECTION admin
  DESCRIPTION "authorization models for nodes that decide: policy engine
${carries}

This package has what the registry, the agent and the command line share:
notp-pdp, the engine of OPA in a process of its own, the JSON schemas of
manifests and configurations, and the users that the services run as.")
notp_package(notp-server SECTION net PROGRAMS DEPENDS ${same} SCRIPTS server
  RECOMMENDS "systemd | systemd-standalone-sysusers" SUGGESTS "notp, notp-doc, prometheus"
  DESCRIPTION "authorization models for nodes that decide: registry
${carries}

This package has the registry, and its unit for systemd. It validates what
is published, keeps every ledger as a Git repository, sends releases to the
nodes, and knows what each of them runs. It does not start before there is a
configuration, and its removal leaves keys and ledgers alone.")
notp_package(notp-client SECTION net PROGRAMS DEPENDS ${same} SCRIPTS client
  RECOMMENDS "systemd | systemd-standalone-sysusers" SUGGESTS "notp-doc, prometheus"
  DESCRIPTION "authorization models for nodes that decide: agent
${carries}

This package has the agent of a node, and its units for systemd. It verifies
and stores releases, and answers questions of applications by the REST API
of OPA and by AuthZEN, also without a network. It does not start before there
is a configuration, and its removal leaves the key of the node alone.")
notp_package(notp-doc SECTION doc ALL SUGGESTS "prometheus, grafana"
  DESCRIPTION "authorization models for nodes that decide: documents
${carries}

This package has the operator's guide, the runbook, the specification of the
protocol, models and configurations to begin with, the rules for Prometheus,
the dashboards for Grafana and the bases for Kubernetes.")

include(CPack)
