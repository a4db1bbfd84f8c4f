// What the files of `notp node` share.
#pragma once

#include "common/clock.hpp"
#include "protocol/session/identity.hpp"
#include "tools/notp/command.hpp"

namespace notp::cli {

// "90s", "30m", "1h", "2d". kUsage.
Result<TimeMs> parse_duration(std::string_view text);

// A node's name, "<role>/<name>" or a whole SPIFFE id, of this trust domain; an id that is not of
// the built-in form is taken for a node's. kUsage.
Result<Identity> named_identity(const std::string& name, const std::string& trust_domain);

void add_node_denials(Commands& commands, CLI::App& node);

}  // namespace notp::cli
