"""What Streamlit runs for each session: who may enter, which pages there are.

Streamlit makes this the main module of its process, and a child process that reads feeds looks at its parent's main
module first: it must find nothing there, or it would load and draw a page before its work.
"""

if __name__ == "__main__":
    from dashboard.shell import run

    run()
