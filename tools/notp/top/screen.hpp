// The lines that `notp top` shows: a pure function of what it knows and of the room.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/notp/output.hpp"
#include "tools/notp/top/picture.hpp"

namespace notp::cli {

// Why there is nothing newer.
struct Trouble {
  std::string message;  // as the error has it
  TimeMs since_ms = 0;  // when the last answer came, or the first question was asked
};

struct View {
  std::string registry;
  const wire::RegistryStatus* status = nullptr;  // null: none has come yet
  std::optional<Rates> rates;
  std::optional<Trouble> trouble;
  TimeMs now_ms = 0;  // by the clock of Trouble::since_ms
};

struct Room {
  size_t columns = 80;
  size_t rows = 24;           // lines at most
  size_t ledgers = SIZE_MAX;  // at most
};

// Below it, lines are cut.
inline constexpr size_t kScreenColumnsMin = 20;

// At most room.rows lines of at most room.columns columns, escape sequences apart. All of a peer's
// text is shown as printable characters. The status' ledgers are shown in their order.
std::vector<std::string> screen_lines(const Output& output, const View& view, Room room);

// How many of `columns` cells each part gets: they sum to `columns`, a part that is not 0 has at
// least one as long as there are enough, and the shares are as near as whole cells can be. All are
// 0 if the parts are.
std::array<size_t, 4> bar_cells(const std::array<uint64_t, 4>& parts, size_t columns);

}  // namespace notp::cli
