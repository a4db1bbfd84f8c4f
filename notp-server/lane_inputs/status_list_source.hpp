// The kind status_list: fetches the status lists of an issuer. Nodes find a list by the `status`
// claim of a token; this registry never sees the tokens, so that the lists are configured.
#pragma once

#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

SourceKind status_list_kind();

}  // namespace notp::lane_inputs
