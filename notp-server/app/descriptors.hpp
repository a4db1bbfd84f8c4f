// Derives the number of connections from the process's descriptor limit.
#pragma once

#include <cstddef>

#include "common/result.hpp"
#include "protocol/serve/admission.hpp"

namespace notp::server {

// Raises the soft limit of open descriptors (RLIMIT_NOFILE) to the hard limit and returns it.
// kInternal.
Result<size_t> raise_descriptor_limit();

// Reduces the configured limits to what `descriptors` allow: sessions and handshakes have separate
// shares, and repositories, databases and workers get the rest.
serve::AdmissionLimits fit_descriptors(serve::AdmissionLimits wanted, size_t descriptors);

// The same, and logs how few sessions that leaves of the default. Another number of sessions is
// what somebody relies on: kConfig says what it needs when it does not fit.
Result<serve::AdmissionLimits> within_descriptors(const serve::AdmissionLimits& wanted,
                                                  size_t descriptors);

// The smallest limit of descriptors under which fit_descriptors() reduces nothing.
size_t descriptors_for(const serve::AdmissionLimits& wanted);

}  // namespace notp::server
