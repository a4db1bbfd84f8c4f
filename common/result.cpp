#include "common/result.hpp"

#include <algorithm>
#include <array>

namespace notp {
namespace {

struct Row {
  ErrorCode code;
  ErrorTraits traits;
};

constexpr std::array kRows = {
#define NOTP_ERROR_ROW(name, wire, action, exit) \
  Row{ErrorCode::name, ErrorTraits{#name, ErrorAction::action, exit_code::exit}},
    NOTP_ERROR_TABLE(NOTP_ERROR_ROW)
#undef NOTP_ERROR_ROW
};

// Converts "kHeadMoved" to "head_moved", once at start.
const std::array<std::string, kRows.size()>& snake_names() {
  static const auto names = [] {
    std::array<std::string, kRows.size()> out;
    for (size_t i = 0; i < kRows.size(); ++i) {
      for (char c : kRows[i].traits.name.substr(1)) {
        const bool upper = c >= 'A' && c <= 'Z';
        if (upper && !out[i].empty()) out[i].push_back('_');
        out[i].push_back(upper ? static_cast<char>(c - 'A' + 'a') : c);
      }
    }
    return out;
  }();
  return names;
}

const std::array<ErrorTraits, kRows.size()>& traits_table() {
  static const auto table = [] {
    std::array<ErrorTraits, kRows.size()> out;
    for (size_t i = 0; i < kRows.size(); ++i) {
      out[i] = kRows[i].traits;
      out[i].name = snake_names()[i];
    }
    return out;
  }();
  return table;
}

}  // namespace

const ErrorTraits& error_traits(ErrorCode code) {
  const auto row = std::ranges::find(kRows, code, &Row::code);
  const auto index = row == kRows.end() ? 0 : row - kRows.begin();
  return traits_table()[static_cast<size_t>(index)];
}

ErrorCode error_code_from_wire(uint32_t wire) {
  const auto row = std::ranges::find_if(
      kRows, [&](const Row& r) { return static_cast<uint32_t>(r.code) == wire; });
  return row == kRows.end() ? ErrorCode::kInternal : row->code;
}

}  // namespace notp
