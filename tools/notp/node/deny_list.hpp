// The model of the deny list: which identities are shut out, and why. An ordinary ledger, so that
// shutting somebody out is a signed release with a history.
#pragma once

#include "protocol/model/tree.hpp"

namespace notp::cli {

inline constexpr std::string_view kDeniedRoot = "notp/denied";
inline constexpr std::string_view kDeniedFile = "notp/denied/data.json";

// A deny list that denies nobody.
Result<ModelContent> empty_deny_list();

// The same model with one identity added or removed. kConflict when it is there, or is not;
// kInvalidModel when the model holds no deny list.
Result<ModelContent> deny(const ModelContent& list, const std::string& identity,
                          const std::string& reason, const std::string& since);
Result<ModelContent> readmit(const ModelContent& list, const std::string& identity);

}  // namespace notp::cli
