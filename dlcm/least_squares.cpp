#include "dlcm/least_squares.h"

#include <cmath>

namespace dlcm {

bool solve(Matrix matrix, Vector right, size_t count, double tolerance, Vector& x) {
  for (size_t column = 0; column < count; ++column) {
    double pivot = matrix[column][column];
    for (size_t k = 0; k < column; ++k) pivot -= matrix[column][k] * matrix[column][k];
    if (!(pivot > tolerance * matrix[column][column])) return false;
    matrix[column][column] = std::sqrt(pivot);
    for (size_t row = column + 1; row < count; ++row) {
      double sum = matrix[row][column];
      for (size_t k = 0; k < column; ++k) sum -= matrix[row][k] * matrix[column][k];
      matrix[row][column] = sum / matrix[column][column];
    }
  }
  for (size_t row = 0; row < count; ++row) {
    for (size_t k = 0; k < row; ++k) right[row] -= matrix[row][k] * right[k];
    right[row] /= matrix[row][row];
  }
  for (size_t row = count; row-- > 0;) {
    for (size_t k = row + 1; k < count; ++k) right[row] -= matrix[k][row] * right[k];
    right[row] /= matrix[row][row];
  }
  x = right;
  return true;
}

double r_squared(const std::vector<double>& recorded, const std::vector<double>& predicted) {
  double mean = 0, residual = 0, total = 0;
  for (double value : recorded) mean += value / static_cast<double>(recorded.size());
  for (size_t i = 0; i < recorded.size(); ++i) {
    residual += (recorded[i] - predicted[i]) * (recorded[i] - predicted[i]);
    total += (recorded[i] - mean) * (recorded[i] - mean);
  }
  return total > 0 ? 1 - residual / total : 1;
}

}  // namespace dlcm
