// The log lines of simulated programs go nowhere: the world's trace has what happens. These stand
// in place of common/log.cpp.
#include "common/log.hpp"

namespace notp::log {

void configure(Level, Format) {}
void write(Level, std::string_view, std::initializer_list<Field>) {}
void write(Level, std::string_view, const Error&, std::initializer_list<Field>) {}
Result<Level> parse_level(std::string_view) { return Level::kError; }
Result<Format> parse_format(std::string_view) { return Format::kText; }

}  // namespace notp::log
