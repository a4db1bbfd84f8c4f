// The record of a pending release: JSON that a person can read, then a line with its SHA-256.
#pragma once

#include "notp-server/publish/pending_store.hpp"

namespace notp::publish {

std::string record_text(const PendingRelease& release);
// kCorrupt unless record_text() wrote the text, and its envelope is of that release.
Result<PendingRelease> parse_record(std::string_view text);

}  // namespace notp::publish
