// The model of the deny list: which identities are denied, and why. It is an ordinary ledger, so
// that a denial is a signed release with a history.
#pragma once

#include "protocol/model/tree.hpp"

namespace notp::cli {

inline constexpr std::string_view kDeniedRoot = "notp/denied";
inline constexpr std::string_view kDeniedFile = "notp/denied/data.json";

// An empty deny list.
Result<model::ModelContent> empty_deny_list();

// The same model with one identity added or removed. kConflict when it is already there, or is not;
// kInvalidModel when the model does not hold a deny list.
Result<model::ModelContent> deny(const model::ModelContent& list, const std::string& identity,
                                 const std::string& reason, const std::string& since);
Result<model::ModelContent> readmit(const model::ModelContent& list, const std::string& identity);

}  // namespace notp::cli
