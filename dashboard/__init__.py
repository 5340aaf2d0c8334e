"""What people see: Streamlit pages over the store. Importing it loads neither torch nor transformers."""
