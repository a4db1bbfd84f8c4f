// Bounds the values of a label that come from names which people choose, such as a ledger's.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

namespace notp {

// Ledgers that metrics tell apart: every one costs a monitoring system several series for as long
// as it keeps data.
inline constexpr size_t kLedgerLabelsMax = 200;
inline constexpr std::string_view kOtherLabel = "other";

// The first `values_max` different names are values of their own, as long as the object lives; all
// later ones share kOtherLabel. A series keeps its meaning, therefore, whatever is added later. One
// thread at a time.
class LabelValues {
 public:
  explicit LabelValues(size_t values_max = kLedgerLabelsMax) : values_max_(values_max) {}

  // False: the name shares kOtherLabel.
  bool is_own(std::string_view name) {
    if (own_.contains(name)) return true;
    if (own_.size() >= values_max_) return false;
    own_.emplace(name);
    return true;
  }

 private:
  const size_t values_max_;
  std::set<std::string, std::less<>> own_;
};

}  // namespace notp
