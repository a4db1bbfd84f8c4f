// What a registry says of the OpenID providers whose keys it fetches, for people and programs.
#pragma once

#include <string>
#include <vector>

#include "protocol/wire/messages/sources.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {

// A row for each source, and below them what a person should do about those that are not well.
std::string sources_text(const Output& output, const std::vector<wire::SourceRow>& rows,
                         TimeMs now_ms);
// All that is known of one, and what to do if it is not well.
std::string source_text(const Output& output, const wire::SourceRow& row, TimeMs now_ms);
// What is wrong, what it means for nodes and what to do; empty when all is well.
std::string source_advice(const wire::SourceRow& row, TimeMs now_ms);
json::object source_json(const wire::SourceRow& row, TimeMs now_ms);

}  // namespace notp::cli
