"""Files that hold a table: text, Parquet, and the converted form that is opened without reading it.

They give and take columns; `Table` is made of these, above them.
"""
