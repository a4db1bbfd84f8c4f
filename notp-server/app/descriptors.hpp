// How many connections the system lets this process have.
#pragma once

#include <cstddef>

#include "common/result.hpp"
#include "protocol/serve/admission.hpp"

namespace notp {

// Raises the limit of open descriptors as far as the system allows it (RLIMIT_NOFILE, the soft
// limit to the hard one) and returns what it is then. kInternal.
Result<size_t> raise_descriptor_limit();

// What the configuration asks for, cut to what so many descriptors are enough for: sessions and
// handshakes have parts of their own, and repositories, databases and workers have the rest.
AdmissionLimits fit_descriptors(AdmissionLimits wanted, size_t descriptors);

}  // namespace notp
