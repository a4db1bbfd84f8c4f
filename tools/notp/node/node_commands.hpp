// Declarations shared by the files of `notp node`.
#pragma once

#include "common/clock.hpp"
#include "protocol/session/identity.hpp"
#include "tools/notp/command.hpp"

namespace notp::cli {

// Parses a node's name, "<role>/<name>" or a whole SPIFFE id, of this trust domain; an id that is
// not of the built-in form is taken for a node's. kUsage.
Result<session::Identity> named_identity(const std::string& name, const std::string& trust_domain);

void add_node_denials(Commands& commands, CLI::App& node);
void add_node_release(Commands& commands, CLI::App& node);

}  // namespace notp::cli
